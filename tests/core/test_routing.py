from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.routing import Size, Thresholds, size_of
from prefect_etl.errors import ConfigError

COUNTS = st.none() | st.integers(0, 10_000)


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "arrow"]
)
def test_a_frame_of_any_library_is_measured_in_rows_and_bytes(make):
    size = size_of(make({"n": np.arange(1000)}))
    assert size.rows == 1000
    assert size.bytes is not None
    assert 8000 <= size.bytes <= 8200


def test_what_has_a_length_is_measured_by_it():
    assert size_of(range(7)) == Size(rows=7, bytes=None)
    assert size_of(b"1234") == Size(rows=None, bytes=4)


def test_a_reference_is_measured_by_what_it_says():
    assert size_of(SimpleNamespace(rows=5, bytes=None)) == Size(rows=5, bytes=None)
    assert size_of(SimpleNamespace(rows=None, bytes=99)) == Size(rows=None, bytes=99)


def test_a_lazy_frame_is_not_computed_to_be_measured():
    frame = pl.LazyFrame({"n": [1]}).map_batches(lambda _: pytest.fail("it was computed"))
    assert size_of(frame) == Size(rows=None, bytes=None)
    assert Thresholds().route(size_of(frame)).why == "rows not known without reading it"


def test_what_has_no_size_is_refused():
    with pytest.raises(ConfigError, match="of type int has no size"):
        size_of(3)


def test_a_thousand_rows_are_small_unless_said_otherwise():
    assert not Thresholds().route(Size(1000, 10**12)).large
    assert Thresholds().route(Size(1001, 0)).large
    assert not Thresholds(bytes=10).route(Size(10**12, 10)).large


def test_a_negative_threshold_is_refused():
    with pytest.raises(ConfigError, match="threshold_bytes is -1"):
        Thresholds(bytes=-1)


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(ConfigError, match="threshold_rows is a whole number, not '10'"):
        Thresholds(rows="10")


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_small_means_known_and_within_every_threshold(rows, in_bytes, most_rows, most_bytes):
    limits = Thresholds(most_rows, most_bytes)
    found = limits.route(Size(rows, in_bytes))
    asked = [(rows, limits.rows), (in_bytes, limits.bytes)]
    within = [has is not None and has <= most for has, most in asked if most is not None]
    assert found.large is not all(within)
    assert found.why
