"""Parquet files with values that the engine would change without a word are refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.errors import SourceReadError
from prefect_etl.testing.exercise import small_session


def planned(folder: Path, given: dict[str, pa.Array], *, int96: bool = False, **fields: Any):
    """The batches of two files of one schema, of which the second has the values."""
    table = pa.table({"id": pa.array(range(len(next(iter(given.values())))), "int64"), **given})
    for name, rows in (("a", table.slice(0, 0)), ("b", table)):
        pq.write_table(rows, folder / f"{name}.parquet", use_deprecated_int96_timestamps=int96)
    connection = FilesConnection.from_uri(f"file://{folder}", folder)
    dataset = FilesDataset(name="d", path="*.parquet", **fields)
    with small_session() as session:
        source = FilesSource(connection, dataset, session)
        return source.batches(source.units(LedgerState()), LedgerState())


MOMENTS = pa.timestamp("ns", "UTC")


def test_nanoseconds_with_a_zone(tmp_path):
    with pytest.raises(SourceReadError, match=r"b\.parquet: column t has timestamps with a time"):
        planned(tmp_path, {"t": pa.array([None, 1], MOMENTS)})


def test_whole_microseconds_with_a_zone_are_fine(tmp_path):
    assert planned(tmp_path, {"t": pa.array([None, -1000], MOMENTS)})


def test_nanoseconds_of_the_old_type(tmp_path):
    with pytest.raises(SourceReadError, match=r"b\.parquet: column t has timestamps of type INT96"):
        planned(tmp_path, {"t": pa.array([1], pa.timestamp("ns"))}, int96=True)


def test_far_years_of_the_old_type_are_fine(tmp_path):
    far = pa.array([-62_135_596_800_000_000, 253_402_300_799_999_999], pa.timestamp("us"))
    assert planned(tmp_path, {"t": far}, int96=True)


def test_nested_columns_are_not_looked_into(tmp_path):
    nested = pa.array(
        [{"a": 1, "t": [1000]}], pa.struct([("a", "int64"), ("t", pa.list_(MOMENTS))])
    )
    with pytest.raises(SourceReadError, match="column s has"):
        planned(tmp_path, {"s": nested, "z": pa.array([1])})


def test_long_decimals(tmp_path):
    long = pa.array([Decimal(1)], pa.decimal256(39, 0))
    with pytest.raises(SourceReadError, match="column n has decimals of more than 38 digits"):
        planned(tmp_path, {"n": long})


@pytest.mark.parametrize("columns", [{"drop": ["N"]}, {"select": ["id"]}])
def test_columns_that_are_not_loaded_may_be_anything(tmp_path, columns):
    long = pa.array([Decimal(1)], pa.decimal256(39, 0))
    assert planned(tmp_path, {"n": long}, columns=columns)
