"""A SQLite file as a source: tables, views and queries, whole or by what is new."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

from prefect_etl.connectors.base import ArrowRows, Rows
from prefect_etl.connectors.relational import (
    DatabaseDataset,
    Planner,
    digest_of,
    part,
    whole,
    within,
)
from prefect_etl.connectors.sqlite.carrying import Carried
from prefect_etl.connectors.sqlite.connection import SqliteConnection, translated
from prefect_etl.connectors.sqlite.faults import is_interrupt, translate
from prefect_etl.connectors.sqlite.probing import SqliteProbe, cursor_sql, where
from prefect_etl.connectors.sqlite.reading import arrow_stream, selection
from prefect_etl.connectors.sqlite.reflecting import Found, all_carried, reflect
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.arrow import guarded
from prefect_etl.errors import EtlError, SourceReadError

if TYPE_CHECKING:
    from prefect_etl.engine.duckdb import Session


class SqliteDataset(DatabaseDataset):
    """A table, view or query of a SQLite file."""


class SqliteSource:
    """Reads one table, view or query.

    Each read is one transaction, and so of one moment; the parts of a plan that one process reads
    are read in the same one. Unless the file is in WAL mode, nobody can write to it meanwhile.

    Args:
        connection: Where the file is.
        dataset: What to read of it.
        session: The engine that takes the rows.
    """

    def __init__(
        self, connection: SqliteConnection, dataset: SqliteDataset, session: Session
    ) -> None:
        self._file = connection
        self._dataset = dataset
        self._session = session
        self._lock = Lock()
        self._described: tuple[Found, list[Carried]] | None = None
        self._shared: sqlite3.Connection | None = None
        self._remaining: set[int] = set()
        self._planner = Planner(dataset, digest_of(*dataset.read))

    def units(self, state: LedgerState) -> list[Unit]:
        """What the ledger remembers, and the whole or the window above the last cursor.

        Raises:
            SourceReadError: The table, query or cursor is not there, or the cursor cannot be one.
            EtlError: The file cannot be read.
        """
        with self._probe() as probe:
            return self._planner.units(_spelled(state, probe, self._dataset), probe)

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """A batch a unit; its reading holds the bounds, which stay as they are now.

        Raises:
            EtlError: As :meth:`units`.
        """
        with self._probe() as probe:
            planned = self._planner.batches(units, _spelled(state, probe, self._dataset), probe)
        self._share(planned)
        return planned

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> list[Batch] | None:
        """The plan of a run that was killed, with the bounds that it had."""
        batches = self._planner.resume(held, state)
        if batches is not None:
            self._share([b for b in batches if not any(one.answers(b) for one in held)])
        return batches

    def window(self, window: Window, state: LedgerState) -> list[Batch]:
        """A window of a backfill.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        del state
        with self._probe() as probe:
            planned = self._planner.window(window, probe)
            return [Batch(b.units, {**b.reading, **_bounds(b, probe)}) for b in planned]

    def schema(self, batch: Batch) -> TableSchema:
        """The columns that reading gives."""
        del batch
        with self._opened() as connection:
            _, columns = self._describe(connection)
        return TableSchema(tuple(Column(c.name, c.type) for c in columns))

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open a batch for reading.

        Raises:
            SourceReadError: A value is not of its column's type; its row is named.
            EtlError: The file cannot be read.
        """
        import duckdb

        if "keys" in batch.reading:
            with self._of_key().read(whole(batch)) as rows:
                yield rows
            return
        what = f"{self._dataset.name}: {self._dataset.described}"
        errors: list[Exception] = []
        with self._reading(batch) as connection:
            found, columns = self._describe(connection)
            sent, restored = selection(columns, found)
            sql = f"SELECT {sent} FROM {found.selected}{self._conditions(batch, connection)}"
            try:
                cursor = connection.execute(sql)
                yield ArrowRows(guarded(arrow_stream(cursor, columns, what), errors), restored)
            except duckdb.InterruptException:
                raise
            except (duckdb.Error, EtlError, sqlite3.Error) as error:
                raise _told(errors, error, what) from error
        with self._lock:
            self._remaining.discard(batch.reading.get("part", -1))
            over = not self._remaining
        if over:
            self.close()

    def _of_key(self) -> SqliteSource:
        with self._opened() as connection:
            found, _ = self._describe(connection)
        return SqliteSource(self._file, self._dataset.of_key(found.columns), self._session)

    def close(self) -> None:
        """Let the shared transaction go."""
        with self._lock:
            shared, self._shared = self._shared, None
        if shared is not None:
            shared.close()

    def _conditions(self, batch: Batch, connection: sqlite3.Connection) -> str:
        found, columns = self._describe(connection)
        window = ""
        if "upper" in batch.reading:
            probe = SqliteProbe(connection, self._dataset, found, columns)
            window = within(batch.reading, cursor_sql(*probe.cursor_column), probe.spelled)
        key = str(batch.reading.get("key", ""))
        name = identifier(key) if key in found.columns else key
        ranged = part(batch.reading, name, lambda bound: str(int(bound))) if key else ""
        return where(self._dataset, window, ranged)

    def _share(self, batches: Sequence[Batch]) -> None:
        """Read all of several batches in one transaction."""
        self.close()
        with self._lock:
            self._remaining = {b.reading["part"] for b in batches if "part" in b.reading}

    @contextmanager
    def _reading(self, batch: Batch) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if "part" in batch.reading and batch.reading["part"] in self._remaining:
                self._shared = self._shared or self._begun()
                connection: sqlite3.Connection | None = self._shared
            else:
                connection = None
        if connection is None:
            with self._opened() as own:
                yield own
            return
        with self._session.stopping(connection.interrupt):
            yield connection

    @contextmanager
    def _probe(self) -> Iterator[SqliteProbe]:
        with self._opened() as connection:
            found, columns = self._describe(connection)
            with translated(self._dataset.name):
                yield SqliteProbe(connection, self._dataset, found, columns)

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        connection = self._begun()
        try:
            with self._session.stopping(connection.interrupt):
                yield connection
        finally:
            connection.close()

    def _begun(self) -> sqlite3.Connection:
        connection = self._file.connect(wait=self._session.wait)
        connection.execute("BEGIN")
        return connection

    def _describe(self, connection: sqlite3.Connection) -> tuple[Found, list[Carried]]:
        """What is read and how; asked once."""
        if self._described is None:
            with translated(self._dataset.name):
                found = reflect(connection, self._dataset)
                self._described = found, all_carried(connection, found, self._dataset)
        return self._described


def _spelled(state: LedgerState, probe: SqliteProbe, dataset: SqliteDataset) -> LedgerState:
    """The state with its cursor as the file spells it: after a backfill it is the engine's."""
    if state.cursor is None or dataset.cursor is None or probe.cursor != "timestamp":
        return state
    return replace(state, cursor=probe.respelled(state.cursor))


def _bounds(batch: Batch, probe: SqliteProbe) -> dict[str, str]:
    given = {name: batch.reading.get(name) for name in ("lower", "upper")}
    return {name: probe.respelled(bound) for name, bound in given.items() if bound is not None}


def _told(errors: list[Exception], error: Exception, what: str) -> Exception:
    """The error that ended a stream; its consumer has seen only a copy in text."""
    import duckdb

    cause = errors[0] if errors else error
    if is_interrupt(cause.__cause__ or cause):
        return duckdb.InterruptException(f"{what}: interrupted")
    if "decode to UTF-8" in str(cause):
        return SourceReadError(
            f"{what}: {cause}",
            hint="Read it as it is, with types: {column: BLOB}.",
        )
    if isinstance(cause, sqlite3.Error):
        return translate(cause, what)
    if isinstance(cause, duckdb.InvalidInputException) and 'column "' in str(cause):
        said = str(cause).strip().splitlines()[0].partition(": ")[2]
        return SourceReadError(
            f"{what}: {said}",
            hint="Mend the row, or say what the column is with types:, for example VARCHAR.",
        )
    return cause
