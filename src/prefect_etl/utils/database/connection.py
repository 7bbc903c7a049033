"""A database connection for async code, over a driver that blocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Self, TypeVar

from prefect_etl.utils.database.connecting import DriverConnection
from prefect_etl.utils.database.statements import (
    Row,
    StatementThread,
    Values,
    Work,
    executing,
    executing_many,
    fetching_all,
    fetching_one,
)

R = TypeVar("R")


class Connection:
    """A connection whose statements run one by one in a thread of its own.

    It belongs to no event loop, and may be used from any loop and thread. Each statement commits by
    itself; :meth:`transaction` joins several. A statement whose caller is cancelled is stopped.
    Errors of statements are the driver's own.

    Attributes:
        blocking: The same connection for code that is not async.

    Example:
        >>> from prefect_etl.utils.database import create_connection
        >>> async def count() -> list[Row]:
        ...     connection = await create_connection("duckdb://")
        ...     await connection.execute("CREATE TABLE t AS SELECT range AS i FROM range(3)")
        ...     async with connection.transaction():
        ...         await connection.executemany("INSERT INTO t VALUES (?)", [[3], [4]])
        ...     rows = await connection.fetchall("SELECT count(*) FROM t WHERE i > ?", [0])
        ...     await connection.close()
        ...     return rows
        >>> asyncio.run(count())
        [(4,)]
    """

    def __init__(self, name: str, thread: StatementThread) -> None:
        self._name = name
        self._thread = thread
        self.blocking = BlockingConnection(thread)

    @classmethod
    async def open(cls, name: str, connect: Callable[[], DriverConnection]) -> Self:
        """Connect.

        Args:
            name: What to, without secrets.
            connect: Opens the driver's connection; called in the new connection's thread.
        """
        thread = StatementThread(name, connect)
        try:
            await asyncio.wrap_future(thread.connected)
        except BaseException:  # also a cancellation: nobody else would ever close it
            thread.close()
            raise
        return cls(name, thread)

    def __repr__(self) -> str:
        return f"<Connection {self._name}>"

    async def execute(self, sql: str, parameters: Values = ()) -> None:
        """Run a statement."""
        await self._run(executing(sql, parameters))

    async def executemany(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each row of parameters."""
        await self._run(executing_many(sql, rows))

    async def fetchall(self, sql: str, parameters: Values = ()) -> list[Row]:
        """Run a statement and give all its rows."""
        return await self._run(fetching_all(sql, parameters))

    async def fetchone(self, sql: str, parameters: Values = ()) -> Row | None:
        """Run a statement and give its first row; None where it has none."""
        return await self._run(fetching_one(sql, parameters))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit what the block does as one, or nothing of it.

        Whoever else uses the connection meanwhile is in the transaction, too: connections that
        tasks share are shared one at a time for this, with ``limit=``.
        """
        await self._run(executing("BEGIN", ()))
        try:
            yield
        except BaseException as error:
            await _finished(self._thread.submit(_rolling_back(error)))
            raise
        await _finished(self._thread.submit(executing("COMMIT", ())))

    async def commit(self) -> None:
        """Commit a transaction that a statement ``BEGIN`` began."""
        await _finished(self._thread.submit(executing("COMMIT", ())))

    async def rollback(self) -> None:
        """Undo a transaction that a statement ``BEGIN`` began."""
        await _finished(self._thread.submit(executing("ROLLBACK", ())))

    async def close(self) -> None:
        """Close it, after the statements that were begun; safe to call twice."""
        await _finished(self._thread.close())

    async def _run(self, work: Work[R]) -> R:
        future = self._thread.submit(work)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            self._thread.stop(future)
            raise


class BlockingConnection:
    """A connection for code that is not async; see :class:`Connection`."""

    def __init__(self, thread: StatementThread) -> None:
        self._thread = thread

    def execute(self, sql: str, parameters: Values = ()) -> None:
        """Run a statement."""
        self._run(executing(sql, parameters))

    def executemany(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each row of parameters."""
        self._run(executing_many(sql, rows))

    def fetchall(self, sql: str, parameters: Values = ()) -> list[Row]:
        """Run a statement and give all its rows."""
        return self._run(fetching_all(sql, parameters))

    def fetchone(self, sql: str, parameters: Values = ()) -> Row | None:
        """Run a statement and give its first row; None where it has none."""
        return self._run(fetching_one(sql, parameters))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block does as one, or nothing of it."""
        self._run(executing("BEGIN", ()))
        try:
            yield
        except BaseException as error:
            self._thread.submit(_rolling_back(error)).result()
            raise
        self._thread.submit(executing("COMMIT", ())).result()

    def close(self) -> None:
        """Close it, after the statements that were begun; safe to call twice."""
        self._thread.close().result()

    def _run(self, work: Work[R]) -> R:
        future = self._thread.submit(work)
        try:
            return future.result()
        except BaseException:  # Ctrl-C, or the statement's own error, which leaves nothing to stop
            self._thread.stop(future)
            raise


async def _finished(future: Future[None]) -> None:
    """Wait for what must be done; who is cancelled meanwhile leaves it to the thread."""
    await asyncio.shield(asyncio.wrap_future(future))


def _rolling_back(error: BaseException) -> Work[None]:
    def work(driver: DriverConnection) -> None:
        try:
            driver.execute("ROLLBACK", ())
        except Exception as second:  # noqa: BLE001 - any driver's; SQLite may have rolled back itself
            error.add_note(f"ROLLBACK: {second}")

    return work
