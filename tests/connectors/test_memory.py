"""The memory connector, beside what the conformance suite says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from prefect_etl.connectors.memory import (
    MemoryConnection,
    MemoryDataset,
    MemorySource,
    store,
)
from prefect_etl.core.ledger import LedgerState
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceChangedError, SourceReadError


@pytest.fixture(scope="module")
def session():
    session = Session(memory_limit="200MB", threads=1)
    yield session
    session.close()


def source(name, session, table="orders"):
    connection = MemoryConnection.from_uri(f"memory://{name}", Path())
    return MemorySource(connection, MemoryDataset(name="d", table=table), session)


def test_two_uris_of_one_name_are_one_store():
    assert store("one of two") is store("one of two")
    assert store("one of two") is not store("two of two")


def test_equal_content_is_the_same_version_whatever_put_it_there(session):
    store("same").put("orders", [{"id": 1}])
    first = source("same", session).units(LedgerState())
    store("same").put("orders", [{"id": 1}])
    assert source("same", session).units(LedgerState()) == first


def test_a_table_that_is_not_there_gets_the_nearest_name(session):
    store("near").put("orders", [])
    with pytest.raises(SourceReadError, match="no table ordres; did you mean orders"):
        source("near", session, "ordres").units(LedgerState())


def test_a_table_that_changed_after_it_was_planned_is_not_read(session):
    store("late").put("orders", [{"id": 1}])
    found = source("late", session)
    (batch,) = found.batches(found.units(LedgerState()), LedgerState())
    store("late").put("orders", [{"id": 2}])
    with pytest.raises(SourceChangedError), found.read(batch):
        pass
