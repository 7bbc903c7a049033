"""Several connections to one database, each given to one user at a time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

from prefect_etl.errors import ConfigError, Fatal
from prefect_etl.utils.database.connecting import Target, connect_to, described, settle
from prefect_etl.utils.database.connection import BlockingConnection, Connection
from prefect_etl.utils.database.statements import Row, StatementThread, Values


class Pool:
    """Up to ``size`` connections, opened when they are needed and kept open.

    A statement of the pool's own runs on any of them; :meth:`connection` gives one for as long as a
    block needs it, for transactions. Others wait while all are in use. A transaction that a block
    left open is undone; a connection that broke is not used again. It may be used from any loop and
    thread.

    Args:
        target: Where they lead.
        size: How many there may be.

    Attributes:
        blocking: The same pool for code that is not async.

    Example:
        >>> from prefect_etl.utils.database import create_pool
        >>> async def sums() -> list[Row | None]:
        ...     pool = await create_pool("duckdb://", size=2)
        ...     asked = [pool.fetchone("SELECT $1 + 1", [i]) for i in range(3)]
        ...     try:
        ...         return await asyncio.gather(*asked)
        ...     finally:
        ...         await pool.close()
        >>> asyncio.run(sums())
        [(1,), (2,), (3,)]
    """

    def __init__(self, target: Target, size: int) -> None:
        if size < 1:
            raise ConfigError(f"a pool of {size} connections has none", hint="Give size=1 or more.")
        self._name = described(target)
        self._lending = _Lending(
            self._name, size, lambda: connect_to(target), lambda driver: settle(target, driver)
        )
        self.blocking = BlockingPool(self._lending)

    def __repr__(self) -> str:
        return f"<Pool {self._name}>"

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One of the connections, for the block alone."""
        borrowed = self._lending.borrow()
        try:
            thread = await asyncio.wrap_future(borrowed)
        except asyncio.CancelledError:
            self._lending.give_up(borrowed)
            raise
        try:
            yield Connection(self._name, thread)
        finally:
            self._lending.give_back(thread)

    async def execute(self, sql: str, parameters: Values = ()) -> None:
        """Run a statement."""
        async with self.connection() as connection:
            await connection.execute(sql, parameters)

    async def executemany(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each row of parameters."""
        async with self.connection() as connection:
            await connection.executemany(sql, rows)

    async def fetchall(self, sql: str, parameters: Values = ()) -> list[Row]:
        """Run a statement and give all its rows."""
        async with self.connection() as connection:
            return await connection.fetchall(sql, parameters)

    async def fetchone(self, sql: str, parameters: Values = ()) -> Row | None:
        """Run a statement and give its first row; None where it has none."""
        async with self.connection() as connection:
            return await connection.fetchone(sql, parameters)

    async def close(self) -> None:
        """Close all, those in use when they come back; safe to call twice."""
        closing = [asyncio.wrap_future(closed) for closed in self._lending.close()]
        await asyncio.shield(asyncio.gather(*closing))


class BlockingPool:
    """A pool for code that is not async; see :class:`Pool`."""

    def __init__(self, lending: _Lending) -> None:
        self._lending = lending

    @contextmanager
    def connection(self) -> Iterator[BlockingConnection]:
        """One of the connections, for the block alone."""
        borrowed = self._lending.borrow()
        try:
            thread = borrowed.result()
        except BaseException:  # Ctrl-C, or that it could not be opened: nothing to give up
            self._lending.give_up(borrowed)
            raise
        try:
            yield BlockingConnection(thread)
        finally:
            self._lending.give_back(thread)

    def execute(self, sql: str, parameters: Values = ()) -> None:
        """Run a statement."""
        with self.connection() as connection:
            connection.execute(sql, parameters)

    def executemany(self, sql: str, rows: Iterable[Values]) -> None:
        """Run a statement once for each row of parameters."""
        with self.connection() as connection:
            connection.executemany(sql, rows)

    def fetchall(self, sql: str, parameters: Values = ()) -> list[Row]:
        """Run a statement and give all its rows."""
        with self.connection() as connection:
            return connection.fetchall(sql, parameters)

    def fetchone(self, sql: str, parameters: Values = ()) -> Row | None:
        """Run a statement and give its first row; None where it has none."""
        with self.connection() as connection:
            return connection.fetchone(sql, parameters)

    def close(self) -> None:
        """Close all, those in use when they come back; safe to call twice."""
        for closed in self._lending.close():
            closed.result()


class _Lending:
    """Who has which connection, and who waits for one."""

    def __init__(
        self,
        name: str,
        size: int,
        connect: Callable[[], Any],
        settled: Callable[[Any], bool],
    ) -> None:
        self._name, self._size = name, size
        self._connect, self._settled = connect, settled
        self._guard = threading.Lock()
        self._threads: set[StatementThread] = set()
        self._idle: list[StatementThread] = []
        self._waiting: deque[Future[StatementThread]] = deque()
        self._closing = False

    def borrow(self) -> Future[StatementThread]:
        """A connection, as soon as there is one."""
        borrowed: Future[StatementThread] = Future()
        with self._guard:
            if self._closing:
                raise Fatal(f"the pool of {self._name} is closed")
            self._waiting.append(borrowed)
        self._serve()
        return borrowed

    def give_up(self, borrowed: Future[StatementThread]) -> None:
        """Take back what nobody waits for any more."""
        if not borrowed.cancel():  # it is on its way
            borrowed.add_done_callback(self._unwanted)

    def _unwanted(self, borrowed: Future[StatementThread]) -> None:
        if not borrowed.cancelled() and borrowed.exception() is None:
            self.give_back(borrowed.result())

    def give_back(self, thread: StatementThread) -> None:
        """Let others have a connection, if it can still be used."""
        try:
            settled = thread.submit(self._settled)
        except Fatal:  # whoever had it closed it
            settled = Future()
            settled.set_result(False)
        settled.add_done_callback(partial(self._returned, thread))

    def close(self) -> list[Future[None]]:
        """Close those that nobody has; gives when each of them is closed."""
        with self._guard:
            self._closing = True
            waiting, self._waiting = [*self._waiting], deque()
            idle, self._idle = self._idle, []
        for borrowed in waiting:
            if borrowed.set_running_or_notify_cancel():
                borrowed.set_exception(Fatal(f"the pool of {self._name} is closed"))
        return [thread.close() for thread in idle]

    def _returned(self, thread: StatementThread, done: Future[bool]) -> None:
        usable = done.exception() is None and done.result()
        with self._guard:
            if usable and not self._closing:
                self._idle.append(thread)
            else:
                self._threads.discard(thread)
                thread.close()
        self._serve()

    def _serve(self) -> None:
        """Give what is free to those who wait, the first first."""
        while True:
            with self._guard:
                while self._waiting and self._waiting[0].cancelled():
                    self._waiting.popleft()
                if not self._waiting:
                    return
                thread = self._idle.pop() if self._idle else self._opened()
                if thread is None:
                    return
                borrowed = self._waiting.popleft()
                taken = borrowed.set_running_or_notify_cancel()
            if taken:
                thread.connected.add_done_callback(partial(self._lend, borrowed, thread))
            else:
                self.give_back(thread)

    def _opened(self) -> StatementThread | None:
        if len(self._threads) == self._size:
            return None
        thread = StatementThread(self._name, self._connect)
        self._threads.add(thread)
        return thread

    def _lend(
        self, borrowed: Future[StatementThread], thread: StatementThread, done: Future[None]
    ) -> None:
        error = done.exception()
        if error is None:
            borrowed.set_result(thread)
            return
        with self._guard:
            self._threads.discard(thread)
        borrowed.set_exception(error)
        self._serve()
