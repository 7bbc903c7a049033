"""Rows of PostgreSQL as a stream of Arrow, by ADBC: ``COPY … TO STDOUT`` in binary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prefect_etl.connectors.postgres.connection import INSTALL, PostgresConnection
from prefect_etl.connectors.postgres.faults import fault
from prefect_etl.core.sql import literal
from prefect_etl.errors import ConfigError, EtlError

if TYPE_CHECKING:
    import pyarrow as pa

    from prefect_etl.engine.duckdb import Session

# Of one Arrow batch; one row may be larger.
_BATCH_BYTES = 8 * 2**20
_BATCH_OPTION = "adbc.postgresql.batch_size_hint_bytes"
_STATE = re.compile(r"SQLSTATE:? ([0-9A-Z]{5})")
# Errors in the middle of a stream that are not the data's.
_STATES = (
    ("canceling statement due to conflict with recovery", "40001"),
    ("canceling statement", "57014"),
    ("permission denied", "42501"),
    ("deadlock detected", "40P01"),
    ("out of memory", "53200"),
    ("No space left", "53100"),
)
_SAID = re.compile(r"(?:ERROR|FATAL|PANIC):\s+(.+)")


@contextmanager
def arrow_stream(
    connection: PostgresConnection,
    session: Session,
    sql: str,
    *,
    what: str,
    snapshot: str | None = None,
) -> Iterator[pa.RecordBatchReader]:
    """Run a SELECT in a read-only transaction of its own, and give its rows as they come.

    Leaving the context ends the transaction. An interrupt of the session stops the statement.

    Args:
        connection: Where the database is.
        session: The engine whose interrupt stops it.
        sql: The SELECT.
        what: What is read, for errors.
        snapshot: The moment to read of, from ``pg_export_snapshot()``; a new one if None.

    Raises:
        EtlError: The server does not answer, refuses, or fails.
    """
    import duckdb

    interrupted = Event()
    with _connected(connection, what) as opened, opened.cursor() as cursor:
        stream = None
        try:
            for statement in _beginning(connection, snapshot):
                cursor.execute(statement)
            cursor.adbc_statement.set_options(**{_BATCH_OPTION: str(_BATCH_BYTES)})
            with session.stopping(lambda: _cancel(cursor, interrupted)):
                cursor.execute(sql)
                stream = _Stream(cursor)
                try:
                    yield stream.reader
                finally:
                    stream.close()
        except Exception as error:
            if interrupted.is_set():
                raise duckdb.InterruptException(f"{what}: interrupted") from error
            told = _told(stream.error if stream else None, error, what)
            if told is error:
                raise
            raise told from error


class _Stream:
    """The batches of a statement, until it is closed: also while another thread waits for one.

    An engine that stops in the middle may have threads that go on to read for a moment.

    Args:
        cursor: Of ADBC, after it executed.
    """

    def __init__(self, cursor: Any) -> None:
        import pyarrow as pa

        self._cursor = cursor
        self._source = cursor.fetch_record_batch()
        self._lock = Lock()
        self._closed = False
        self.error: Exception | None = None
        self.reader = pa.RecordBatchReader.from_batches(self._source.schema, self._batches())

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (batch := self._next()) is not None:
            yield batch

    def _next(self) -> pa.RecordBatch | None:
        with self._lock:
            if self._closed:
                raise ValueError("the rows were not read to their end")
            try:
                return next(self._source, None)
            except Exception as error:  # its consumer sees only a copy in text
                self.error = error
                raise

    def close(self) -> None:
        """Stop the statement, and wait for the thread that reads."""
        with suppress(Exception):  # it may be over already, or the server gone
            self._cursor.adbc_cancel()
        with self._lock:
            self._closed = True
            with suppress(Exception):
                self._source.close()


def _beginning(connection: PostgresConnection, snapshot: str | None) -> list[str]:
    begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    imported = [] if snapshot is None else [f"SET TRANSACTION SNAPSHOT {literal(snapshot)}"]
    return [begin, *imported, *connection.session_options.split("; ")]


@contextmanager
def _connected(connection: PostgresConnection, what: str) -> Iterator[Any]:
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs the package adbc-driver-postgresql", hint=INSTALL
        ) from error
    try:
        opened = dbapi.connect(_uri(connection))
    except dbapi.Error as error:
        raise translated_error(error, f"{what}: {connection.display}") from error
    try:
        yield opened
    finally:
        with suppress(dbapi.Error):  # the server may have gone, and nothing was written
            opened.close()


def _uri(connection: PostgresConnection) -> str:
    uri = connection.uri.get_secret_value()
    defaults = "&".join(f"{name}={quote(v)}" for name, v in connection.defaults().items())
    return uri + ("&" if "?" in uri else "?") + defaults if defaults else uri


def _cancel(cursor: Any, interrupted: Event) -> None:
    interrupted.set()
    with suppress(Exception):  # it may be over already, or the server gone
        cursor.adbc_cancel()


def _told(first: Exception | None, error: Exception, what: str) -> Exception:
    """The error that ended a stream; its consumer has seen only a copy in text."""
    cause = first or error
    if isinstance(cause, EtlError):
        return cause
    if first is not None or type(cause).__module__.startswith("adbc"):
        return translated_error(cause, what)
    return error


def translated_error(error: Exception, what: str) -> EtlError:
    """One of our errors for one of ADBC's.

    Args:
        error: From ADBC, or from a stream of its, which has lost the SQLSTATE.
        what: What was done, without secrets.

    Example:
        >>> told = OSError("[libpq] Execution error: ERROR:  division by zero")
        >>> print(translated_error(told, "orders").message)
        orders: division by zero
    """
    text = str(error)
    said = _found(_SAID, text)
    state = getattr(error, "sqlstate", None) or _found(_STATE, text) or _guessed(text, said)
    return fault(state, said or text.split("\n", maxsplit=1)[0], what)


def _guessed(text: str, said: str | None) -> str | None:
    """The class of an error that came without its SQLSTATE."""
    if "ReadRecord failed" in text:  # a value that Arrow does not have
        return "22000"
    if "ERROR:" not in text or said is None:
        return None
    return next((state for part, state in _STATES if part in said), "22000")


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.search(text)
    return match[1].strip() if match else None
