"""Windows of a backfill: they tile the range, and each knows what became of it."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.backfill import BackfillPlan, position, settled, windows
from prefect_etl.errors import ConfigError

DAYS = st.dates(date(1990, 1, 1), date(2040, 1, 1))
LENGTHS = st.sampled_from(["1 day", "3 days", "1 week", "1 month", "1 quarter", "2 years"])


@given(DAYS, st.integers(1, 3_000), LENGTHS)
def test_windows_of_days_tile_the_range(first, length, every):
    last = first + timedelta(days=length)
    found = windows(str(first), str(last), every)
    assert (found[0].lower, found[-1].upper) == (str(first), str(last))
    assert all(one.upper == other.lower for one, other in pairwise(found))
    assert all(date.fromisoformat(w.lower) < date.fromisoformat(w.upper) for w in found)
    assert all(window.open for window in found)


@given(st.integers(-1_000, 1_000), st.integers(1, 1_000), st.integers(1, 50))
def test_windows_of_numbers_tile_the_range(first, length, every):
    found = windows(str(first), str(first + length), str(every))
    values = [number for w in found for number in range(int(w.lower), int(w.upper))]
    assert values == list(range(first, first + length))


def test_a_month_ends_with_the_month():
    found = windows("2024-01-31", "2024-05-01", "1 month")
    assert [w.lower for w in found] == ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]


def test_hours_make_times_of_dates():
    first, second = windows("2026-01-01", "2026-01-02", "12 hours")
    assert first.upper == second.lower == "2026-01-01 12:00:00"


def test_a_time_zone_stays():
    (window,) = windows("2026-01-01T00:00+00:00", "2026-01-02", "1 day")
    assert str(window) == "2026-01-01 00:00:00+00:00 to 2026-01-02 00:00:00+00:00"


@pytest.mark.parametrize(
    ("start", "end", "every", "said"),
    [
        ("2026-01-02", "2026-01-01", "1 day", "ends .* before it begins"),
        ("2026-01-01", "2026-01-01", "1 day", "ends .* before it begins"),
        ("soon", "2026-01-01", "1 day", "no date, time or whole number"),
        ("2026-01-01", "2026-02-01", "often", "is not a duration"),
        ("1", "2026-02-01", "1 day", "do not fit together"),
        ("1", "10", "1 day", "do not fit together"),
        ("1", "10", "0", "more than nothing"),
        ("2000-01-01", "2026-01-01", "1 second", "more than 100,000 windows"),
    ],
)
def test_what_makes_no_windows_is_refused(start, end, every, said):
    with pytest.raises(ConfigError, match=said):
        windows(start, end, every)


def test_each_window_has_its_status():
    found = windows("2026-01-01", "2026-01-04", "1 day")
    parts = settled(found, {position(found[0]): None}, {str(found[1]): "the disk is full"})
    plan = BackfillPlan("orders", "orders", parts)
    assert [part.status for part in parts] == ["done", "failed", "missing"]
    assert plan.todo == found[1:]
    assert [plan.count(status) for status in ("done", "failed", "missing")] == [1, 1, 1]
