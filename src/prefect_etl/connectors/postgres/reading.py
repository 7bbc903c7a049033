"""Rows of PostgreSQL as a stream of Arrow, by ADBC: ``COPY … TO STDOUT`` in binary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
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
_POLL_SECONDS = 0.01
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
                _execute(cursor, sql)
                stream = _Stream(cursor)
                try:
                    yield stream.reader
                finally:
                    stream.close()
        except Exception as error:
            if stream is not None and stream.stopped is not None:
                raise stream.stopped from None
            if interrupted.is_set():
                raise duckdb.InterruptException(f"{what}: interrupted") from error
            told = _told(stream.error if stream else None, error, what)
            if told is error:
                raise
            raise told from error


def _execute(cursor: Any, sql: str) -> None:
    """Execute in a thread of its own, which is waited for.

    In the main thread ADBC takes Ctrl-C for itself, and where the statement has begun to give rows
    nobody hears of it.
    """
    with ThreadPoolExecutor(1, "postgres") as pool:
        pool.submit(cursor.execute, sql).result()


class _Stream:
    """The batches of a statement, read ahead by a thread of its own.

    So the thread that takes them waits in Python, where signals are heard; and an engine that stops
    in the middle may have threads that ask on for a moment, while the statement is closed.

    Args:
        cursor: Of ADBC, after it executed.
    """

    def __init__(self, cursor: Any) -> None:
        import pyarrow as pa

        self._cursor = cursor
        self._source = cursor.fetch_record_batch()
        self._ready: Queue[pa.RecordBatch | None] = Queue(1)
        self._closed = False
        self.error: Exception | None = None
        self.stopped: BaseException | None = None
        self._thread = Thread(target=self._read, name="postgres", daemon=True)
        self._thread.start()
        self.reader = pa.RecordBatchReader.from_batches(self._source.schema, self._batches())

    def _read(self) -> None:
        try:
            for batch in self._source:
                if self._closed:
                    return
                self._ready.put(batch)
        except Exception as error:  # noqa: BLE001 - raised where the rows are taken
            self.error = error
        finally:
            self._ready.put(None)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            while (batch := self._ready.get()) is not None:
                yield batch
        except BaseException as error:  # what a signal's handler raised: the engine would not say
            self.stopped = error
            raise
        self._ready.put(None)  # whoever asks again gets the same answer
        if self._closed:
            raise ValueError("the rows were not read to their end")
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        """Stop the statement, and its thread."""
        self._closed = True
        with suppress(Exception):  # it may be over already, or the server gone
            self._cursor.adbc_cancel()
        while self._thread.is_alive():
            with suppress(Empty):
                self._ready.get(timeout=_POLL_SECONDS)
        with suppress(Exception):
            self._source.close()
        with suppress(Full):
            self._ready.put_nowait(None)


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
