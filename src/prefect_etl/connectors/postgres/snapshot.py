"""One moment of a database that several connections read together.

One connection exports its snapshot, the others import it, and it is held as long as any part is to
be read (https://www.postgresql.org/docs/current/functions-admin.html, pg_export_snapshot).
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.errors import SourceChangedError

if TYPE_CHECKING:
    import psycopg

BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


class SharedSnapshot:
    """The moment that all parts of one plan are read of.

    It begins when the first part asks for it, and ends when the last one was read, or earlier when
    it is closed. The table cannot be rewritten or emptied meanwhile, so rows stay in their places.

    Args:
        connection: Where the database is.
        table: The table as SQL; None where a query is read.
        parts: The parts that are to be read.
        bound: Whether parts of another moment do not fit to those that were read. Where they do,
            as ranges of a key, a new moment begins when the server lost this one.
    """

    def __init__(
        self, connection: PostgresConnection, table: str | None, parts: set[int], *, bound: bool
    ) -> None:
        self._connection = connection
        self._table = table
        self._remaining = set(parts)
        self._bound = bound
        self._lock = Lock()
        self._holder: psycopg.Connection[Any] | None = None
        self._name: str | None = None
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether it was held, and is not any more."""
        return self._ended

    def name(self) -> str:
        """The snapshot's name, for ``SET TRANSACTION SNAPSHOT``.

        Raises:
            SourceChangedError: It is over.
            EtlError: The server does not answer, or refuses.
        """
        with self._lock:
            lost = self._name is not None and not self._held()
            if self._ended or (lost and self._bound):
                raise SourceChangedError(
                    "the moment at which other parts of the table were read is over, and it has "
                    "no key to divide it otherwise",
                    hint="Run again; what was read is read anew.",
                )
            if self._name is None or lost:
                self._name = self._begin()
            return self._name

    def _held(self) -> bool:
        import psycopg

        try:
            if self._holder is not None:
                self._holder.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _begin(self) -> str:
        holder = self._connection.connect()
        try:
            with translated(self._connection.display):
                holder.execute(BEGIN)
                # It waits here between the reads of others, whatever limit there is for that.
                holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                if self._table is not None:  # holds the lock of a reader until the end
                    holder.execute(f"SELECT FROM {self._table} LIMIT 0".encode())
                row = holder.execute("SELECT pg_export_snapshot()").fetchone()
        except BaseException:  # also Ctrl-C: nobody else would close it
            holder.close()
            raise
        self._holder = holder
        return str(row[0]) if row else ""

    def read(self, part: int) -> None:
        """Note that a part was read; the last one lets the snapshot go."""
        with self._lock:
            self._remaining.discard(part)
            over = not self._remaining
        if over:
            self.close()

    def close(self) -> None:
        """Let the snapshot go; safe to call twice."""
        import psycopg

        with self._lock:
            holder, self._holder = self._holder, None
            self._ended = self._ended or self._name is not None
        if holder is not None:
            with suppress(psycopg.Error):  # it was only read
                holder.close()
