"""Numbers at the places where their units change."""

import pytest

from prefect_etl.reporting.numbers import rate, seconds, short, size


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0 k"),
        (99_940, "99.9 k"),
        (99_960, "100 k"),
        (999_499, "999 k"),
        (999_960, "1.0 M"),
        (6_001_215, "6.0 M"),
        (5e15, "5,000 T"),
    ],
)
def test_rows_are_short(number, text):
    assert short(number) == text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (766_000_000, "766 MB")]
)
def test_sizes_have_their_unit(number, text):
    assert size(number) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599.6, "1 h 0 min"),
        (90_000, "25 h 0 min"),
    ],
)
def test_durations_never_show_sixty(duration, text):
    assert seconds(duration) == text


def test_a_rate_is_left_out_where_it_says_nothing():
    assert (rate(0, 1.0), rate(10, 0.0), rate(10, 4.0)) == ("", "", "2.5")
