"""What is said of frames without computing or copying them."""

from __future__ import annotations

import subprocess
import sys

import narwhals as nw
import narwhals.stable.v1 as nw1
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from prefect_etl.core.frames import (
    bytes_of_frame,
    frame_kind,
    frame_summary,
    is_column,
    is_frame,
    is_lazy,
    rows_of,
)

DATA = {"a": [1, 2, 3], "b": ["x", "y", None]}
TABLES = {
    "pandas.DataFrame": pd.DataFrame(DATA),
    "polars.DataFrame": pl.DataFrame(DATA),
    "pyarrow.Table": pa.table(DATA),
    "pyarrow.RecordBatch": pa.RecordBatch.from_pydict(DATA),
    "narwhals.DataFrame": nw.from_native(pl.DataFrame(DATA)),
}
LAZY = {
    "polars.LazyFrame": pl.LazyFrame(DATA),
    "narwhals.LazyFrame": nw.from_native(pl.LazyFrame(DATA)),
}
COLUMNS = {
    "pandas.Series": pd.Series([1, 2, 3]),
    "pandas.Index": pd.RangeIndex(3),
    "polars.Series": pl.Series("s", [1, 2, 3]),
    "pyarrow.ChunkedArray": pa.chunked_array([[1, 2], [3]]),
    "pyarrow.Array": pa.array([1, 2, 3]),
    "narwhals.Series": nw.from_native(pl.Series([1, 2, 3]), series_only=True),
    "numpy.ndarray": np.arange(3),
}


@pytest.mark.parametrize(("kind", "value"), {**TABLES, **LAZY, **COLUMNS}.items())
def test_each_kind_is_told_by_its_library(kind, value):
    assert frame_kind(value) == kind
    assert is_frame(value) is (kind in {**TABLES, **LAZY})
    assert is_column(value) is (kind in COLUMNS)
    assert is_lazy(value) is (kind in LAZY)
    assert frame_summary(value).startswith(f"<{kind} ")


@pytest.mark.parametrize("value", [None, 1, "a", [1], {"a": [1]}, object(), pd.DataFrame])
def test_other_values_are_no_frames(value):
    assert frame_kind(value) is None
    for ask in (rows_of, bytes_of_frame, frame_summary):
        with pytest.raises(TypeError, match="is no frame"):
            ask(value)


@pytest.mark.parametrize("value", [*TABLES.values(), *COLUMNS.values()])
def test_rows_and_bytes_are_known(value):
    assert rows_of(value) == 3
    assert 3 <= bytes_of_frame(value) <= 1000


@pytest.mark.parametrize("value", LAZY.values())
def test_a_lazy_frame_is_not_computed(value):
    assert rows_of(value) is None
    assert bytes_of_frame(value) is None
    assert "not computed" in frame_summary(value)


def test_a_stable_narwhals_frame_over_pandas_is_measured_too():
    frame = nw1.from_native(pd.DataFrame(DATA))
    assert bytes_of_frame(frame) == bytes_of_frame(pd.DataFrame(DATA))


def test_a_slice_counts_its_own_rows():
    table = pa.table({"a": range(1000)})
    assert bytes_of_frame(table.slice(990)) == 80


def test_objects_are_counted_not_their_pointers():
    frame = pd.DataFrame({"a": ["x" * 1000] * 5000}, dtype=object)
    assert 5e6 < bytes_of_frame(frame) < 6e6
    assert bytes_of_frame(frame["a"].astype("string[python]")) > 5e6


def test_a_summary_is_short():
    frame = pd.DataFrame([[0] * 100], columns=["long name " * 100 + str(i) for i in range(100)])
    assert len(frame_summary(frame)) < 300
    assert "1 rows x 100 columns" in frame_summary(frame)
    twins = pd.DataFrame([[1, "x"]], columns=["a", "a"])
    assert frame_summary(twins) == "<pandas.DataFrame 1 rows x 2 columns: a int64, a str>"


def test_no_library_is_imported_to_tell():
    code = (
        "import sys\n"
        "from prefect_etl.core.frames import frame_kind\n"
        "assert frame_kind([1]) is None\n"
        "assert not {'pandas', 'polars', 'pyarrow', 'numpy', 'narwhals'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
