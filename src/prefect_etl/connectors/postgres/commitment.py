"""Whether a load was published whose COMMIT had no reply.

The connection broke after COMMIT was sent, so the server may have done it, may still do it, or may
never have heard of it. The ledger knows, once the session that sent it has ended: its lock on the
table's name is free then.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from prefect_etl.connectors.postgres import ledger
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.errors import UnreachableError

if TYPE_CHECKING:
    import psycopg

    from prefect_etl.core.load import Load

logger = logging.getLogger(__name__)

# The server may have to recover first.
PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.25
# A session that waits for its client holds its lock as long as it is not told to end.
_LOCK_WAIT = "2s"


@dataclass(frozen=True, slots=True)
class Backend:
    """A server process, told from a later one of the same number by its start."""

    pid: int
    started: Any

    @classmethod
    def of(cls, connection: psycopg.Connection[Any]) -> Self:
        """The process that serves a connection."""
        row = connection.execute(
            "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
        ).fetchone()
        return cls(*row) if row else cls(0, None)

    def end(self, connection: psycopg.Connection[Any]) -> None:
        """Ask the server to end it; one of the same user may."""
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid = %s AND backend_start = %s",
            (self.pid, self.started),
        )


def was_published(
    database: PostgresConnection,
    table: tuple[str, str],
    load: Load,
    lineage: str,
    sender: Backend,
) -> bool:
    """Ask the ledger what became of a COMMIT without reply.

    Args:
        database: Where it was sent.
        table: The load's table.
        load: What was to be published.
        lineage: The load's.
        sender: The process that got it, or did not.

    Raises:
        UnreachableError: The server cannot be asked either.
    """
    logger.warning("%s: no reply to COMMIT; asking the ledger", load.dataset.name)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            answer = _asked(database, table, load, lineage, sender)
        except UnreachableError as error:
            if time.monotonic() > deadline:
                raise UnreachableError(
                    f"{load.dataset.name}: the server hung up at COMMIT and does not come back "
                    f"within {PATIENCE_SECONDS:g} s: {error.message}",
                    hint="Run again when it runs: the ledger in it knows whether the load was "
                    "published, so no row is lost or doubled.",
                ) from error
        else:
            if answer is not None:
                return answer
        time.sleep(_POLL_SECONDS)


def _asked(
    database: PostgresConnection,
    table: tuple[str, str],
    load: Load,
    lineage: str,
    sender: Backend,
) -> bool | None:
    """The ledger's answer; None while the sender is not over."""
    import psycopg

    from prefect_etl.connectors.postgres.connection import translated

    connection = database.connect()
    try:
        with translated(load.dataset.name):
            connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'".encode())
            try:
                with connection.transaction():
                    ledger.lock(connection, table)
                    return ledger.has_load(connection, table, load, lineage)
            except psycopg.errors.LockNotAvailable:
                sender.end(connection)
                return None
    finally:
        connection.close()
