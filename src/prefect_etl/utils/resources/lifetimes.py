"""How a resource lives from its setup to its cleanup: in place, in a task, in a thread.

- In place: a plain ``with``, or ``async with``, over plain functions.
- In a task of the caller's loop: ``async with`` over ``async def``. One task does setup and
  cleanup, so that neither a timeout nor a cancellation of the caller cuts the cleanup short.
- In a thread of its own: a plain ``with`` over ``async def``, and all that is shared. The thread
  has a loop of its own where one is needed, which lives as long as the resource.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar

from prefect_etl.utils.resources.interrupts import settled, undisturbed, waited
from prefect_etl.utils.resources.leases import Lease
from prefect_etl.utils.resources.opening import Managed, closed, is_async, opened, unsuspended

logger = logging.getLogger(__name__)
T = TypeVar("T")


class InPlace(Generic[T]):
    """A resource of plain functions, in the thread that uses it."""

    def __init__(self, resource: Managed) -> None:
        self._resource = resource
        self._lease: Lease | None = None

    def open(self) -> T:
        """Set it up."""
        value, self._lease = unsuspended(opened(self._resource), self._resource)
        return value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Clean it up; a signal waits until that is done."""
        with undisturbed():
            unsuspended(closed(self._resource, self._lease), self._resource)


class InTask(Generic[T]):
    """A resource of async functions, in a task of the caller's loop."""

    def __init__(self, resource: Managed) -> None:
        self._resource = resource
        loop = asyncio.get_running_loop()
        self._opened: asyncio.Future[T] = loop.create_future()
        self._closing: asyncio.Future[None] = loop.create_future()
        self._user = asyncio.current_task()

    async def open(self) -> T:
        """Set it up; a cancellation stops the setup, and cleans up first."""
        self._task = asyncio.create_task(self._live())
        either: set[asyncio.Future[Any]] = {self._task, self._opened}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if self._opened.done():
                self._closing.set_result(None)
            else:
                self._task.cancel()
            await settled([self._task])
            _log_failure(self._task, self._resource)
            raise
        if not self._opened.done():
            self._task.result()  # raises
        return self._opened.result()

    async def close(self) -> None:
        """Clean it up, however often the caller is cancelled meanwhile."""
        if not self._closing.done():
            self._closing.set_result(None)
        interrupted = await settled([self._task])
        if interrupted is None:
            self._task.result()
            return
        _log_failure(self._task, self._resource)
        raise interrupted

    async def _live(self) -> None:
        value, lease = await opened(self._resource)
        self._opened.set_result(value)
        try:
            await asyncio.wait({self._closing})
        except asyncio.CancelledError:
            await self._until_unused()
        await closed(self._resource, lease)

    async def _until_unused(self) -> None:
        # The loop ends, and has cancelled all of its tasks: also the one that uses this, which
        # may need it for its last words.
        over = {self._closing, self._user} if self._user else {self._closing}
        while not any(future.done() for future in over):
            with suppress(asyncio.CancelledError):
                await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED)


def _log_failure(task: asyncio.Task[None], resource: object) -> None:
    failed = None if task.cancelled() else task.exception()
    if failed is not None:
        logger.error("the cleanup of %s failed", type(resource).__name__, exc_info=failed)


class InThread(Generic[T]):
    """A resource in a thread of its own, from setup to cleanup.

    Args:
        make: Gives the resource; called in the thread.
        context: The context variables of the thread; the caller's if None.

    Attributes:
        opened: Gives what ``setup`` gave. Cannot be cancelled: many may wait for it.
        closed: Done when the cleanup is; holds its error.
        loop: Runs while an async resource is open; None for one of plain functions.
    """

    def __init__(self, make: Callable[[], Managed], context: Context | None = None) -> None:
        self.opened: Future[T] = Future()
        self.closed: Future[None] = Future()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._make = make
        self._context = context or copy_context()
        self._closing = threading.Event()
        self._tell: Callable[[], None] | None = None

    def start(self) -> Future[T]:
        """Begin to set it up."""
        for future in (self.opened, self.closed):
            future.set_running_or_notify_cancel()
        # A daemon, because it lives until it is told to end: whoever owns it tells it at exit.
        threading.Thread(
            target=self._context.run, args=(self._work,), name="resource", daemon=True
        ).start()
        return self.opened

    def open(self) -> T:
        """Set it up, and wait for that; an interruption stops the setup, and cleans up first."""
        try:
            return self.start().result()
        except BaseException:  # also Ctrl-C: what was opened is closed first
            self.ask_to_close()
            waited(self.closed)
            raise

    def close(self) -> None:
        """Clean it up, and wait for that; the first interruption is raised afterwards."""
        with undisturbed():  # also between the two
            self.ask_to_close()
            waited(self.closed)
        self.closed.result()

    def ask_to_close(self) -> None:
        """Begin to clean it up; an async setup that is not done is cancelled."""
        self._closing.set()
        if self._tell is not None:
            self._tell()

    def _work(self) -> None:
        try:
            resource = self._make()
            threading.current_thread().name = f"resource-{type(resource).__name__}"
            if is_async(resource):
                with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
                    runner.run(self._live_in_loop(resource))
            else:
                self._live(resource)
        except BaseException as error:  # noqa: BLE001 - raised in the threads that wait
            if not self.opened.done():
                self.opened.set_exception(error)
                self.closed.set_result(None)
            else:
                self.closed.set_exception(error)
        else:
            self.closed.set_result(None)

    def _live(self, resource: Managed) -> None:
        value, lease = unsuspended(opened(resource), resource)
        self.opened.set_result(value)
        self._closing.wait()
        unsuspended(closed(resource, lease), resource)

    async def _live_in_loop(self, resource: Managed) -> None:
        loop = self.loop = asyncio.get_running_loop()
        closing, this = asyncio.Event(), asyncio.current_task()

        def close() -> None:
            closing.set()
            if this is not None and not self.opened.done():
                this.cancel()

        self._tell = lambda: _call_in(loop, close)
        if self._closing.is_set():  # before there was a loop to be told
            close()
        value, lease = await opened(resource)
        self.opened.set_result(value)
        await closing.wait()
        await closed(resource, lease)


def _call_in(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # the loop is closed: it is over already
        loop.call_soon_threadsafe(what)
