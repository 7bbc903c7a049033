"""How the rows of a load become batches of Arrow."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa
import pytest

from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.rows import ArrowRows
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.loading import arrow_rows, batch_rows
from prefect_etl.testing.exercise import small_session
from prefect_etl.testing.loads import make_load

SCHEMA = TableSchema.of(id="BIGINT", text="VARCHAR")


def _batches(rows: str, **changes):
    load = make_load(DatasetSpec(name="d"), LedgerState(), {"a": []}, SCHEMA)
    with (
        small_session() as session,
        arrow_rows(session, replace(load, rows=rows, **changes), rows) as reader,
    ):
        return list(reader)


def test_wide_rows_come_few_at_a_time():
    found = _batches("SELECT range AS id, repeat('x', 4000000) AS text FROM range(20)")
    assert max(batch.nbytes for batch in found) < 20_000_000
    assert sum(batch.num_rows for batch in found) == 20


@pytest.mark.parametrize("rows", [0, 1000])
def test_a_stream_that_was_looked_at_is_still_whole(rows):
    table = pa.table({"id": list(range(rows)), "text": ["x" * 40_000] * rows})
    stream = ArrowRows(table.to_reader(max_chunksize=10))
    found = _batches("SELECT id, text FROM _etl_stream", stream=stream)
    assert sorted(n for batch in found for n in batch["id"].to_pylist()) == list(range(rows))
    assert all(batch.nbytes < 20_000_000 for batch in found)


def test_an_expensive_query_is_not_run_twice():
    """To look at its first rows would cost as much as all of them."""
    counted = "SELECT count(*) AS id, max(error(range::VARCHAR)) AS text FROM range(1)"
    with small_session() as session, session.cursor() as cursor:
        assert batch_rows(cursor, counted, SCHEMA) > 1
