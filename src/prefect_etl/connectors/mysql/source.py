"""A MySQL or MariaDB database as a source: tables, views and queries, whole or by what is new."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import ArrowRows, Rows
from prefect_etl.connectors.mysql.carrying import Carried, carried, put, restoring
from prefect_etl.connectors.mysql.connection import INSTALL, MySqlConnection, translated
from prefect_etl.connectors.mysql.faults import translate
from prefect_etl.connectors.mysql.probing import MySqlProbe, cursor_sql, where
from prefect_etl.connectors.mysql.quoting import quoted
from prefect_etl.connectors.mysql.reading import fast_stream, plain_stream, sliced
from prefect_etl.connectors.mysql.reflecting import Found, reflect
from prefect_etl.connectors.relational import (
    DatabaseDataset,
    Planner,
    digest_of,
    part,
    whole,
    within,
)
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
from prefect_etl.core.rows import STREAM
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.arrow import guarded
from prefect_etl.errors import ConfigError, EtlError, SourceReadError

if TYPE_CHECKING:
    import pyarrow as pa
    import pymysql

    from prefect_etl.engine.duckdb import Session

logger = logging.getLogger(__name__)


class MySqlDataset(DatabaseDataset):
    """A table, view or query of a MySQL or MariaDB database."""


class MySqlSource:
    """Reads one table, view or query.

    A statement sees one moment. MySQL cannot share it between connections: the parts of a large
    table, and the slices of one that is read by its primary key, are of moments one after another.

    Args:
        connection: Where the database is.
        dataset: What to read of it.
        session: The engine that takes the rows.
    """

    def __init__(
        self, connection: MySqlConnection, dataset: MySqlDataset, session: Session
    ) -> None:
        self._connection = connection
        self._dataset = dataset
        self._session = session
        self._planner = Planner(dataset, digest_of(*dataset.read))

    def units(self, state: LedgerState) -> list[Unit]:
        """What the ledger remembers, and the whole or the window above the last cursor.

        Raises:
            SourceReadError: The table, query or cursor is not there, or the cursor cannot be one.
            EtlError: The server does not answer, or refuses.
        """
        with self._probe() as probe:
            return self._planner.units(state, probe)

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """A batch a unit; its reading holds the bounds, which stay as they are now.

        Raises:
            EtlError: As :meth:`units`.
        """
        for name, how in self._carried:
            if how.note is not None:
                logger.warning("%s: column %s %s", self._dataset.name, name, how.note)
        with self._probe() as probe:
            return self._planner.batches(units, state, probe)

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> list[Batch] | None:
        """The plan of a run that was killed, with the bounds that it had."""
        return self._planner.resume(held, state)

    def window(self, window: Window, state: LedgerState) -> list[Batch]:
        """A window of a backfill.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        del state
        with self._probe() as probe:
            return self._planner.window(window, probe)

    def schema(self, batch: Batch) -> TableSchema:
        """The columns that reading gives."""
        del batch
        return TableSchema(tuple(Column(name, how.type) for name, how in self._carried))

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open a batch for reading.

        Raises:
            SourceReadError: A value has no equal in the engine; its column is named.
            EtlError: The server does not answer, refuses, or fails.
        """
        import duckdb

        if "keys" in batch.reading:
            with self._of_key().read(whole(batch)) as rows:
                yield rows
            return
        errors: list[Exception] = []
        restored = ", ".join(restoring(name, how) for name, how in self._carried)
        try:
            with self._stream(batch) as stream:
                yield ArrowRows(guarded(stream, errors), f"SELECT {restored} FROM {STREAM}")
        except (EtlError, duckdb.InterruptException):
            raise
        except Exception as error:  # ConnectorX raises RuntimeError, Arrow its own of both drivers'
            raise self._told(errors, error) from error

    def _of_key(self) -> MySqlSource:
        only = self._dataset.of_key(name for name, _ in self._carried)
        return MySqlSource(self._connection, only, self._session)

    @contextmanager
    def _stream(self, batch: Batch) -> Iterator[pa.RecordBatchReader]:
        sent = ", ".join(f"{put(h.sent, quoted(n))} AS {quoted(n)}" for n, h in self._carried)
        with self._connected() as connection:
            conditions = self._conditions(batch, connection)
            key = batch.reading.get("key")
            ranged = part(batch.reading, quoted(key), lambda bound: str(int(bound))) if key else ""
            slices = None
            # A window above a bound is small, and what is outside of it need not be looked at.
            if batch.reading.get("lower") is None and not self._connection.verifies:
                slices = sliced(connection, self._found, ranged)
        select = f"SELECT {sent} FROM {self._found.selected}"
        if slices is not None:
            statements = [select + where(self._dataset, conditions, one) for one in slices]
            yield self._fast(statements)
            return
        statement = select + where(self._dataset, conditions, ranged)
        with (
            plain_stream(self._connection, statement, self._carried) as (stream, thread),
            self._session.stopping(lambda: self._kill(thread)),
        ):
            yield stream

    def _fast(self, statements: Sequence[str]) -> pa.RecordBatchReader:
        try:
            return fast_stream(self._connection, statements)
        except ImportError as error:
            raise ConfigError("MySQL needs the package connectorx", hint=INSTALL) from error

    def _conditions(self, batch: Batch, connection: pymysql.Connection[Any]) -> str:
        if "upper" not in batch.reading:
            return ""
        probe = MySqlProbe(connection, self._dataset, self._found)
        return within(batch.reading, cursor_sql(*probe.cursor_column), probe.spelled)

    def _kill(self, thread: int) -> None:
        """Stop a statement; another connection has to ask for it."""
        with suppress(Exception):  # it may be over already, or the server gone
            connection = self._connection.connect()
            with connection, connection.cursor() as cursor:
                cursor.execute(f"KILL QUERY {thread:d}")

    def _told(self, errors: list[Exception], error: Exception) -> Exception:
        import duckdb
        import pymysql

        cause = errors[0] if errors else error
        if errors or isinstance(cause, pymysql.Error | RuntimeError | OSError):
            return translate(cause, self._dataset.name)
        if isinstance(cause, duckdb.ConversionException | duckdb.InvalidInputException):
            said = str(cause).strip().splitlines()[0].partition(": ")[2] or str(cause)
            return SourceReadError(
                f"{self._dataset.name}: {self._dataset.described}: {said}",
                hint="Mend the row, leave it out with filter:, or read the column as text with "
                "types: {column: VARCHAR}.",
            )
        return error

    @contextmanager
    def _connected(self) -> Iterator[pymysql.Connection[Any]]:
        connection = self._connection.connect()
        with translated(self._dataset.name), connection:
            yield connection

    @contextmanager
    def _probe(self) -> Iterator[MySqlProbe]:
        found = self._found
        with self._connected() as connection:
            yield MySqlProbe(connection, self._dataset, found)

    @cached_property
    def _found(self) -> Found:
        with self._connected() as connection:
            return reflect(connection, self._dataset, self._connection.default_schema)

    @cached_property
    def _carried(self) -> list[tuple[str, Carried]]:
        found = self._found
        pins = {name.lower(): kind for name, kind in self._dataset.types.items()}
        wanted = self._dataset.wanted_columns(name for name, _ in found.columns)
        return [
            (name, carried(name, found.type_of(name), pins.get(name.lower()))) for name in wanted
        ]
