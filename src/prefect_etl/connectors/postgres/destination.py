"""PostgreSQL as a destination: rows, schema, cursor and ledger in one transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect_etl.connectors.postgres import ledger, tables
from prefect_etl.connectors.postgres.commitment import Backend, was_published
from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.connectors.postgres.publishing import publish
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.errors import BusyError, EtlError, UnreachableError

if TYPE_CHECKING:
    import psycopg

    from prefect_etl.connectors.postgres.transforms.tables import PostgresTransforms
    from prefect_etl.engine.duckdb import Session

# The server lets go of a load whose machine vanished after a minute, not after two hours.
_KEEPALIVE = (
    "SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
)
_CANCEL_SECONDS = 5.0
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class PostgresDestination:
    """Publishes loads into a PostgreSQL database.

    Args:
        connection: The database.
        session: The engine that reads the rows.
    """

    def __init__(self, connection: PostgresConnection, session: Session) -> None:
        self._database = connection
        self._session = session

    @property
    def tables(self) -> PostgresTransforms:
        """Where transformations run: in the database itself."""
        from prefect_etl.connectors.postgres.transforms.tables import PostgresTransforms

        return PostgresTransforms(self._database, self._session)

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table."""
        return self.states([dataset])[0]

    def states(self, datasets: list[DatasetSpec]) -> list[LedgerState]:
        """What the ledger knows of several tables, in one snapshot."""
        with self._connected("the ledger") as connection:
            connection.execute(_SNAPSHOT.encode())
            if not ledger.exists(connection):
                return [LedgerState() for _ in datasets]
            return [
                replace(
                    state, missing=state.version > 0 and tables.oid_of(connection, table) is None
                )
                for table in map(self._table, datasets)
                for state in [ledger.read_state(connection, table)]
            ]

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        with self._connected("the ledger") as connection:
            if not ledger.exists(connection):
                return None
            return ledger.read_last_load(connection, self._table(dataset))

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        with self._connected("the ledger") as connection:
            if ledger.exists(connection):
                ledger.ask_for_refresh(connection, self._table(dataset))

    def commit(self, load: Load) -> LoadResult:
        """Publish a load in one transaction.

        Raises:
            UnreachableError: The server hung up. Nothing was published, or the ledger will tell.
            BusyError: Another session loads the table, or holds a lock on it.
        """
        import psycopg

        table, lineage = self._table(load.dataset), load.lineage or uuid4().hex
        with self._connected(load.dataset.name) as connection:
            connection.execute(_KEEPALIVE.encode())
            ledger.create_ledger(connection)
            sender = Backend.of(connection)
            with self._named_holder(connection, table, load):
                with self._stoppable(connection, load.dataset.name):
                    counts, warned = publish(connection, self._session, table, load, lineage)
                try:
                    connection.execute(b"COMMIT")
                except psycopg.OperationalError as error:
                    if not connection.closed:
                        raise
                    if not was_published(self._database, table, load, lineage, sender):
                        raise UnreachableError(
                            f"{load.dataset.name}: the server hung up before COMMIT",
                            hint="Nothing was published, and what was read is kept: run again.",
                        ) from error
        return LoadResult(load.version, lineage, counts, warned)

    def _table(self, dataset: DatasetSpec) -> tuple[str, str]:
        return dataset.schema_ or self._database.default_schema, dataset.table

    @contextmanager
    def _connected(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        connection = self._database.connect()
        try:
            with translated(what):
                yield connection
        finally:
            connection.close()

    @contextmanager
    def _stoppable(self, connection: psycopg.Connection[Any], what: str) -> Iterator[None]:
        """Let an interrupt of the session end what the server does for it."""
        import duckdb
        import psycopg

        interrupted = Event()

        def stop() -> None:
            interrupted.set()
            with suppress(psycopg.Error):  # it may be over already, or the server gone
                connection.cancel_safe(timeout=_CANCEL_SECONDS)

        try:
            with self._session.stopping(stop):
                yield
        except (psycopg.Error, EtlError) as error:
            if interrupted.is_set():
                raise duckdb.InterruptException(f"{what}: interrupted") from error
            raise
        if interrupted.is_set():
            raise duckdb.InterruptException(f"{what}: interrupted")

    @contextmanager
    def _named_holder(
        self, connection: psycopg.Connection[Any], table: tuple[str, str], load: Load
    ) -> Iterator[None]:
        """Say who holds a lock that was waited for in vain."""
        import psycopg

        try:
            yield
        except psycopg.errors.LockNotAvailable as error:
            connection.execute(b"ROLLBACK")
            holders = ", ".join(tables.holders(connection, table)) or "another session"
            raise BusyError(
                f"{load.dataset.name}: table {'.'.join(table)} is held by {holders}; waited "
                f"{self._session.wait:g} s",
                hint="Run again when that is over, or wait longer: PREFECT_ETL_LOCK_TIMEOUT.",
            ) from error
