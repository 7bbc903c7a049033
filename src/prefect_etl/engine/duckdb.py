"""The one DuckDB session of a process: memory limit, spill folder, attached files, interrupt.

The session itself is an in-memory database. A database *file* is attached for as long as a
statement needs it and no longer: while one process has it open for writing, no other can open it
at all (https://duckdb.org/docs/stable/connect/concurrency).
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.catalog import CatalogLock
from prefect_etl.engine.signals import stopped_by_signals, stopped_while_blocked
from prefect_etl.errors import BusyError, EtlError, StorageError

if TYPE_CHECKING:
    import duckdb

    from prefect_etl.engine.confined import Confined

logger = logging.getLogger(__name__)
_HOLDER = re.compile(r"\(PID (\d+)\)")
_POLL_SECONDS = 0.05


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B", re.IGNORECASE)
# DuckDB's own limit is for its buffers; what its allocator and threads take comes on top.
_BUFFERS = 85  # percent
_LEAST_SHARE = 256 << 20


def bytes_of(size: str) -> int:
    """A size as DuckDB spells it, in bytes.

    Raises:
        ValueError: It is not spelled so.

    Example:
        >>> bytes_of("1GiB"), bytes_of("1.5 MB")
        (1073741824, 1500000)
    """
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise ValueError(f"{size!r} is not a size such as 1GiB")
    number, unit, binary = match.groups()
    return int(
        float(number) * (1024 if binary else 1000) ** ("KMGT".find(unit.upper()) + 1 if unit else 0)
    )


def _usable(memory: int) -> int:
    return memory * _BUFFERS // 100


def _buffers(memory: int) -> str:
    return f"{_usable(memory)}B"


def _share(memory: int) -> int:
    """Bytes for the other process: half, or what Parquet needs at least."""
    return max(memory // 2, min(memory, _LEAST_SHARE))


class Session:
    """A DuckDB instance with limits.

    Safe to use from several threads: every call runs on a cursor of its own, every file is attached
    by one thread at a time.

    Args:
        memory_limit: What the engine may use, as DuckDB spells sizes: ``1GiB``.
        spill: Folder for what does not fit; made on first use, removed by DuckDB.
        threads: Worker threads; all cores if None.
        wait: Seconds to wait for a database file that another process holds.

    Example:
        >>> Session().query("SELECT 40 + 2")
        [(42,)]
    """

    def __init__(
        self,
        memory_limit: str = "1GiB",
        spill: Path | None = None,
        threads: int | None = None,
        wait: float = 60.0,
    ) -> None:
        import duckdb

        self._memory = bytes_of(memory_limit)
        self._settings: dict[str, str | bool | int | float | list[str]] = {
            # A table's rows have no order, so a load need not buffer for one; the raw zone asks
            # for the source's order itself.
            "preserve_insertion_order": False,
            # SQL of users reads tables: no variables of the program, no code from the network.
            "python_enable_replacements": False,
            "autoinstall_known_extensions": False,
        }
        config = {**self._settings, "memory_limit": _buffers(self._memory)}
        if spill is not None:
            # DuckDB makes the folder itself, on first use, but not its parents.
            try:
                spill.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise storage_error(error, str(spill.parent)) from error
            config["temp_directory"] = str(spill)
        if threads is not None:
            config["threads"] = threads
        self.wait = wait
        self._spill = spill
        self._connection = duckdb.connect(config=config)
        # A time without a zone means the same on every machine.
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        # By name, not by path: two files of one name cannot be attached at the same time.
        self._names: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        self._alone = threading.Lock()
        self._catalog = CatalogLock()
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._stops: list[Callable[[], None]] = []
        self._confined: Confined | None = None

    def confined(self) -> Confined:
        """An engine in a process of its own, for files that may be crafted; see there."""
        from prefect_etl.engine.confined import Confined

        ((threads,),) = self.query("SELECT current_setting('threads')::INTEGER")
        spill = self.scratch()
        with self._guard:
            if self._confined is None:
                config: dict[str, Any] = {
                    "preserve_insertion_order": False,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    # What was read is not read again.
                    "enable_external_file_cache": False,
                }
                if spill is not None:
                    config["temp_directory"] = str(spill / "confined")
                share, most = _usable(_share(self._memory)), _usable(self._memory)
                tries = ((share, threads), (most, threads), (most, 1))
                self._confined = Confined(config, tries, self._making_room)
            return self._confined

    @contextmanager
    def frugal(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor of an engine with one thread, for rows of which many at a time are too much.

        One thread takes rows in their order, so it need not hold them to keep it. The engine has
        nothing attached. One is open at a time.
        """
        import duckdb

        config: dict[str, Any] = {
            **self._settings,
            "memory_limit": _buffers(self._memory),
            "threads": 1,
        }
        scratch = self.scratch()
        if scratch is not None:
            config["temp_directory"] = str(scratch / "frugal")
        with self._alone, duckdb.connect(config=config) as connection:
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            with self._making_room(connection.interrupt), stopped_by_signals(connection.interrupt):
                yield connection

    @contextmanager
    def _making_room(self, stop: Callable[[], None]) -> Iterator[None]:
        """Leave its share of the memory to the other process while that works."""
        import duckdb

        rest = max(self._memory - _share(self._memory), min(self._memory, _LEAST_SHARE))
        with self.stopping(stop):
            with suppress(duckdb.OutOfMemoryException):  # what is in use now, stays
                self.query(f"SET GLOBAL memory_limit = '{_buffers(rest)}'")
            try:
                yield
            finally:
                self.query(f"SET GLOBAL memory_limit = '{_buffers(self._memory)}'")

    def scratch(self) -> Path | None:
        """The folder for what a reader keeps aside meanwhile; None: the system's.

        Raises:
            StorageError: It cannot be made.
        """
        if self._spill is not None:
            try:
                self._spill.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise storage_error(error, str(self._spill)) from error
        return self._spill

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own: transactions on it are apart from all others."""
        cursor = self._connection.cursor()
        with self._guard:
            self._running.add(cursor)
        try:
            with stopped_by_signals(cursor.interrupt):
                yield cursor
        except RuntimeError as error:
            # In the main thread DuckDB puts Ctrl-C, and what a signal's handler raised, in one.
            if isinstance(error.__cause__, KeyboardInterrupt):
                raise error.__cause__ from None
            raise
        finally:
            with self._guard:
                self._running.discard(cursor)
            cursor.close()

    def query(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[tuple[Any, ...]]:
        """Run one statement and give all its rows."""
        with self.cursor() as cursor:
            return cursor.execute(sql, parameters).fetchall()

    @contextmanager
    def attached(
        self, path: Path, *, read_only: bool, wait: float | None = None, looks: bool = True
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor with a database file attached under DuckDB's own name for it, and in use.

        The name is the file's stem, as when the file is opened alone, so that views written here
        work there.

        Args:
            path: The database file; made if missing, unless ``read_only``.
            read_only: Share the file with other readers.
            wait: Seconds to wait for another process; the session's if None.
            looks: No other file goes meanwhile, so that statements may look through the whole
                catalog. Without it they do so within ``looking()``, and in no longer transaction.

        Raises:
            BusyError: Another process still holds the file after the wait; names it.
            StorageError: The file is no DuckDB database, or the disk refuses.
        """
        import duckdb

        path = path.resolve()
        alias = path.stem
        with self._guard:
            lock = self._names.setdefault(alias.casefold(), threading.RLock())
        options = " (READ_ONLY)" if read_only else ""
        attach = f"ATTACH {literal(path)} AS {identifier(alias)}{options}"
        with lock, self.cursor() as cursor:
            self._attach(cursor, attach, path, self.wait if wait is None else wait)
            try:
                cursor.execute(f"USE {identifier(alias)}")
                with self.looking() if looks else nullcontext():
                    try:
                        yield cursor
                    finally:
                        with suppress(duckdb.Error):  # usually no transaction is open
                            cursor.rollback()
            finally:
                self._detach(cursor, alias)
        if not read_only:
            _sync_names(path.parent)

    def looking(self) -> AbstractContextManager[None]:
        """Look through the whole catalog, while no attached file goes."""
        return self._catalog.looking()

    def _attach(
        self, cursor: duckdb.DuckDBPyConnection, attach: str, path: Path, wait: float
    ) -> None:
        import duckdb

        deadline = time.monotonic() + wait
        while True:
            try:
                cursor.execute(attach)
            except duckdb.IOException as error:
                if "Could not set lock" not in str(error):
                    raise storage_error(error, str(path)) from error
                if time.monotonic() >= deadline:
                    raise _busy(path, str(error), wait) from error
            except duckdb.Error as error:
                raise storage_error(error, str(path)) from error
            else:
                return
            time.sleep(_POLL_SECONDS)

    def _detach(self, cursor: duckdb.DuckDBPyConnection, alias: str) -> None:
        import duckdb

        cursor.execute("USE memory")
        try:
            with self._catalog.alone():
                cursor.execute(f"DETACH {identifier(alias)}")
        except duckdb.IOException as error:
            # It is detached. What was committed is durable in its log, and stays there.
            logger.warning("%s", str(error).strip().replace("\n", " "))

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Let an interrupt stop something else, too, that a statement waits for: a server.

        Args:
            stop: Must be safe to call from another thread, more than once, and when it is over.
        """
        with self._guard:
            self._stops.append(stop)
        try:
            with stopped_while_blocked(self._stop_others):
                yield
        finally:
            with self._guard:
                self._stops.remove(stop)

    def interrupt(self) -> None:
        """Stop every running statement; each raises ``duckdb.InterruptException``."""
        with self._guard:
            for cursor in self._running:
                cursor.interrupt()
        self._stop_others()

    def _stop_others(self) -> None:
        with self._guard:
            stops = list(self._stops)
        for stop in stops:
            stop()

    def close(self) -> None:
        """Close the instance; statements that run are stopped."""
        self.interrupt()
        if self._confined is not None:
            self._confined.close()
        self._connection.close()


def _sync_names(folder: Path) -> None:
    """Make durable that a database file is there and its log is not, which DuckDB leaves undone."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: Exception, what: str) -> EtlError:
    """Translate an error of DuckDB's that concerns a local file, or memory.

    Example:
        >>> print(storage_error(Exception("IO Error: No space left on device"), "raw zone"))
        raw zone: IO Error: No space left on device
        Free disk space and run again; nothing was published.
    """
    text = str(error).strip().split("\n")[0]
    full = "No space left" in text or "disk full" in text.lower() or "max_temp_directory" in text
    hint = "Check that the path exists, is not damaged and may be written, then run again."
    if full:
        hint = "Free disk space and run again; nothing was published."
    elif "Out of Memory" in text:
        hint = "Give the engine more, for example PREFECT_ETL_MEMORY_LIMIT=4GiB, and run again."
    return StorageError(f"{what}: {text}", hint=hint)


def _busy(path: Path, text: str, wait: float) -> BusyError:
    holder = _HOLDER.search(text)
    who = f"process {holder[1]}" if holder else "another process"
    return BusyError(
        f"{path} is held by {who}; waited {wait:g} s",
        hint="Close the program that has it open (DuckDB allows one writer and no readers beside "
        "it), or wait longer: PREFECT_ETL_LOCK_TIMEOUT.",
    )
