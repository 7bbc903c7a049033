"""The thread in which the statements of one database connection run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, TypeVar

from prefect_etl.errors import Fatal
from prefect_etl.utils.database.connecting import DriverConnection

R = TypeVar("R")
Values = Sequence[Any] | Mapping[str, Any]
Row = tuple[Any, ...]
Work = Callable[[DriverConnection], R]


class StatementThread:
    """Runs statements one by one: drivers block, and SQLite's wants one thread.

    Args:
        name: What it is connected to, for messages.
        connect: Opens the driver's connection, in the thread.

    Attributes:
        connected: Done when the connection is open; holds the error where it could not be.
        closed: Done when it is closed.
    """

    def __init__(self, name: str, connect: Callable[[], DriverConnection]) -> None:
        self.connected: Future[None] = Future()
        self.closed: Future[None] = Future()
        self._name = name
        self._connect = connect
        self._waiting: SimpleQueue[tuple[Future[Any], Work[Any]] | None] = SimpleQueue()
        self._guard = threading.Lock()
        self._closing = False
        self._running: Future[Any] | None = None
        self._driver: DriverConnection | None = None
        for future in (self.connected, self.closed):
            future.set_running_or_notify_cancel()
        # A daemon: a connection that nobody closes must not keep the program from its end.
        threading.Thread(target=self._work, name=f"connection-{name}", daemon=True).start()

    def submit(self, work: Work[R]) -> Future[R]:
        """Run some work after what was submitted before."""
        future: Future[R] = Future()
        with self._guard:
            if self._closing:
                raise Fatal(f"the connection to {self._name} is closed")
            self._waiting.put((future, work))
        return future

    def stop(self, future: Future[Any]) -> None:
        """Take back what was submitted, or interrupt it where it runs already."""
        if future.cancel():
            return
        with self._guard:
            if self._running is future and self._driver is not None:
                self._driver.interrupt()

    def close(self) -> Future[None]:
        """Close the connection after what was submitted; safe to call twice."""
        with self._guard:
            if not self._closing:
                self._closing = True
                self._waiting.put(None)
        return self.closed

    def _work(self) -> None:
        try:
            self._driver = self._connect()
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for it
            self.connected.set_exception(error)
            self.closed.set_result(None)
            return
        self.connected.set_result(None)
        while (submitted := self._waiting.get()) is not None:
            self._run(self._driver, *submitted)
        try:
            self._driver.close()
        except BaseException as error:  # noqa: BLE001 - as above
            self.closed.set_exception(error)
        else:
            self.closed.set_result(None)

    def _run(self, driver: DriverConnection, future: Future[Any], work: Work[Any]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        with self._guard:
            self._running = future
        try:
            result = work(driver)
        except BaseException as error:  # noqa: BLE001 - as above
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            with self._guard:
                self._running = None


def executing(sql: str, parameters: Values) -> Work[None]:
    """Run a statement."""

    def work(driver: DriverConnection) -> None:
        driver.execute(sql, parameters)

    return work


def executing_many(sql: str, rows: Iterable[Values]) -> Work[None]:
    """Run a statement once for each row of parameters."""
    values = list(rows)

    def work(driver: DriverConnection) -> None:
        if values:  # DuckDB refuses an empty list
            driver.executemany(sql, values)

    return work


def fetching_all(sql: str, parameters: Values) -> Work[list[Row]]:
    """Run a statement and give its rows."""
    return lambda driver: driver.execute(sql, parameters).fetchall()


def fetching_one(sql: str, parameters: Values) -> Work[Row | None]:
    """Run a statement and give its first row."""
    return lambda driver: driver.execute(sql, parameters).fetchone()
