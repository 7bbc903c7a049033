"""SQLite as a destination: rows, schema, cursor and ledger in one transaction.

A transaction that writes begins as such (``BEGIN IMMEDIATE``), so that of two runs the second waits
at its beginning, and sees then what the first one made.
"""

from __future__ import annotations

import sqlite3
from collections.abc import (
    Iterator,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Any,
)
from uuid import uuid4

from prefect_etl.connectors.assured import (
    assert_balanced,
    assert_current,
    assert_owned,
    table_warnings,
    values_that_fit,
)
from prefect_etl.connectors.sqlite import ledger, tables
from prefect_etl.connectors.sqlite.connection import SqliteConnection, translated
from prefect_etl.connectors.sqlite.faults import is_interrupt
from prefect_etl.connectors.sqlite.user_sql import run_user_sql
from prefect_etl.connectors.sqlite.values import add_functions
from prefect_etl.connectors.sqlite.writing import Writer
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.sql import identifier
from prefect_etl.errors import ConfigError
from prefect_etl.storage.durable import make_folder, storage_errors

if TYPE_CHECKING:
    from prefect_etl.engine.duckdb import Session

SCHEMA = "main"


class SqliteDestination:
    """Publishes loads into a SQLite file.

    Args:
        connection: The file; made at the first load.
        session: The engine that reads the rows.
    """

    def __init__(self, connection: SqliteConnection, session: Session) -> None:
        self._file = connection
        self._session = session

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table."""
        return self.states([dataset])[0]

    def states(self, datasets: list[DatasetSpec]) -> list[LedgerState]:
        """What the ledger knows of several tables, in one snapshot."""
        named = [_table(dataset) for dataset in datasets]
        if not self._file.path.exists():
            return [LedgerState() for _ in datasets]
        with self._opened("the ledger") as connection:
            connection.execute("BEGIN")
            known = ledger.exists(connection)
            return [
                _state(connection, dataset, table, known=known)
                for dataset, table in zip(datasets, named, strict=True)
            ]

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        if not self._file.path.exists():
            return None
        with self._opened("the ledger") as connection:
            if not ledger.exists(connection):
                return None
            return ledger.read_last_load(connection, _table(dataset))

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        if not self._file.path.exists():
            return
        with self._opened("the ledger", write=True) as connection:
            if ledger.exists(connection):
                ledger.ask_for_refresh(connection, _table(dataset))

    def commit(self, load: Load) -> LoadResult:
        """Publish a load in one transaction.

        Raises:
            BusyError: Another process writes to the file, still.
        """
        table, lineage = _table(load.dataset), load.lineage or uuid4().hex
        with storage_errors(f"the folder of {self._file.path}"):
            make_folder(self._file.path.parent)
        with self._opened(load.dataset.name, write=True) as connection:
            add_functions(connection)
            connection.execute("BEGIN IMMEDIATE")
            with values_that_fit(load):
                counts, warned = self._publish(connection, table, load, lineage)
            connection.execute("COMMIT")
        return LoadResult(load.version, lineage, counts, warned)

    def _publish(
        self, connection: sqlite3.Connection, table: tuple[str, str], load: Load, lineage: str
    ) -> tuple[dict[int, Accounting], tuple[RuleCount, ...]]:
        ledger.create_ledger(connection)
        found = ledger.owner(connection, table)
        there = tables.kind_of(connection, table[1]) is not None
        assert_owned(load, table[1], found, there=there)
        state = ledger.read_state(connection, table)
        assert_current(load, state)
        if load.refresh:
            ledger.forget(connection, table)
        what = load.dataset.name
        run_user_sql(connection, load.dataset.before, f"{what}: before")
        if found is None and there:
            tables.adopt(connection, table[1], load)
        counts = Writer(connection, self._session, table, load).write()
        assert_balanced(load, counts)
        run_user_sql(connection, load.dataset.after, f"{what}: after")
        warned = _warnings(connection, table, load)
        ledger.record_load(connection, table, load, ledger.Outcome(lineage, counts))
        return counts, warned

    @contextmanager
    def _opened(self, what: str, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        """The file; an interrupt of the session stops its statement, closing it rolls back."""
        import duckdb

        connection = self._file.connect(write=write, wait=self._session.wait)
        try:
            with self._session.stopping(connection.interrupt), translated(what):
                yield connection
        except Exception as error:
            if is_interrupt(error.__cause__ or error):
                raise duckdb.InterruptException(f"{what}: interrupted") from error
            raise
        finally:
            connection.close()


def _warnings(
    connection: sqlite3.Connection, table: tuple[str, str], load: Load
) -> tuple[RuleCount, ...]:
    def ask(sql: str) -> Sequence[Any]:
        found: Sequence[Any] = connection.execute(sql).fetchone()
        return found

    def named(other: str) -> str:
        return identifier(other.rpartition(".")[2])

    return table_warnings(load, identifier(table[1]), ask, named, (sqlite3.OperationalError,))


def _table(dataset: DatasetSpec) -> tuple[str, str]:
    schema = dataset.schema_ or SCHEMA
    if schema != SCHEMA:
        raise ConfigError(
            f"{dataset.name}: schema: {schema}: a SQLite file has no schemas",
            hint="Leave schema: out, or name the table with into:.",
        )
    if dataset.table.lower().startswith((ledger.PREFIX, "sqlite_")):
        raise ConfigError(
            f"{dataset.name}: a table cannot be named {dataset.table}: such names are taken",
            hint="Name the table with into:.",
        )
    return schema, dataset.table


def _state(
    connection: sqlite3.Connection, dataset: DatasetSpec, table: tuple[str, str], *, known: bool
) -> LedgerState:
    state = ledger.read_state(connection, table) if known else LedgerState()
    there = tables.kind_of(connection, table[1]) is not None
    if state.version == 0 and there and dataset.adopt:
        return replace(state, schema=tables.columns_of(connection, table[1]))
    return replace(state, missing=state.version > 0 and not there)
