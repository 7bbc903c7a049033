"""Share a resource among the tasks of a flow run."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar, overload
from uuid import uuid4

from prefect_etl.errors import BusyError, ConfigError
from prefect_etl.orchestration.resources.pool import Instance, Pool
from prefect_etl.orchestration.resources.run_end import current_scope
from prefect_etl.orchestration.resources.scope import RunScope
from prefect_etl.utils.resources import ResourceManager

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Use(Generic[T]):
    """One `with` of an instance that a flow run shares."""

    scope: RunScope
    pool: Pool[T]
    instance: Instance[T]

    def leave(self) -> None:
        self.pool.give_back(self.instance)
        self.scope.user_left()


# What is in use around the caller, by the shared resource's key, the innermost last.
_Held = tuple[str, "_Use[Any] | ResourceManager[Any]"]
_held: ContextVar[tuple[_Held, ...]] = ContextVar("shared resources in use", default=())


class Shared(Generic[T]):
    """A resource that the tasks of a flow run share; :func:`shared` makes it.

    Enter it with ``with`` or ``async with`` in each task that uses it. It can be pickled.
    """

    def __init__(
        self,
        make: Callable[[], ResourceManager[T]],
        name: str,
        *,
        limit: int | None,
        wait: float | None,
    ) -> None:
        self._make = make
        self._name = name
        self._limit = limit
        self._wait = wait
        # It travels to other processes with it, so that each opens one, however often it is copied.
        self._key = uuid4().hex

    def __repr__(self) -> str:
        return f"shared({self._name}{'' if self._limit is None else f', limit={self._limit}'})"

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the loop of the async resource that this plain ``with`` has entered.

        Raises:
            ConfigError: Nothing is entered here, or it is no async resource.
        """
        return self._sent(work).result()

    async def arun(self, work: Coroutine[Any, Any, R]) -> R:
        """As :meth:`run`, from async code: for what is bound to the loop that opened it."""
        return await asyncio.wrap_future(self._sent(work))

    def __enter__(self) -> T:
        if (scope := current_scope()) is None:
            private = self._make()
            return self._keep(private, private.__enter__())
        pool = scope.pool(self._key, self._name, self._make, self._limit)
        claimed = pool.claim()
        try:
            instance = claimed.result(self._wait)
        except BaseException as error:
            pool.withdraw(claimed)
            scope.user_left()
            self._tell_wait(error)
            raise
        use = _Use(scope, pool, instance)
        try:
            return self._keep(use, instance.life.opened.result())
        except BaseException:  # also Ctrl-C: nobody uses it then
            use.leave()
            raise

    async def __aenter__(self) -> T:
        if (scope := current_scope()) is None:
            private = self._make()
            return self._keep(private, await private.__aenter__())
        pool = scope.pool(self._key, self._name, self._make, self._limit)
        claimed = pool.claim()
        try:
            instance = await asyncio.wait_for(asyncio.wrap_future(claimed), self._wait)
        except BaseException as error:
            pool.withdraw(claimed)
            scope.user_left()
            self._tell_wait(error)
            raise
        use = _Use(scope, pool, instance)
        try:
            return self._keep(use, await asyncio.wrap_future(instance.life.opened))
        except BaseException:  # also a cancellation: nobody uses it then
            use.leave()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        use = self._let_go()
        if isinstance(use, _Use):
            use.leave()
        else:
            use.__exit__(kind, error, trace)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        use = self._let_go()
        if isinstance(use, _Use):
            use.leave()
        else:
            await use.__aexit__(kind, error, trace)

    def _keep(self, use: _Use[T] | ResourceManager[T], value: T) -> T:
        _held.set((*_held.get(), (self._key, use)))
        return value

    def _let_go(self) -> _Use[T] | ResourceManager[T]:
        held = _held.get()
        last = self._innermost(held)
        _held.set(held[:last] + held[last + 1 :])
        return held[last][1]

    def _innermost(self, held: tuple[_Held, ...]) -> int:
        found = [place for place, (key, _) in enumerate(held) if key == self._key]
        if not found:
            raise ConfigError(
                f"{self!r} is not entered here",
                hint="Enter and leave it in the same task, and use it in between.",
            )
        return found[-1]

    def _sent(self, work: Coroutine[Any, Any, R]) -> Future[R]:
        try:
            loop = self._loop()
        except ConfigError:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, loop)

    def _loop(self) -> asyncio.AbstractEventLoop:
        held = _held.get()
        use = held[self._innermost(held)][1]
        loop = use.instance.life.loop if isinstance(use, _Use) else use.loop
        if loop is None:
            raise ConfigError(f"{self!r} has no loop of its own here", hint="Await it, or call it.")
        return loop

    def _tell_wait(self, error: BaseException) -> None:
        if isinstance(error, TimeoutError) and self._wait is not None:
            raise BusyError(
                f"none of the {self._limit} {self._name} was free for {self._wait:g} s",
                hint="Raise limit= or wait=, or run fewer tasks at once.",
            ) from error


@overload
def shared(
    resource: ResourceManager[T], *, limit: int | None = None, wait: float | None = None
) -> Shared[T]: ...


@overload
def shared(
    resource: Callable[[], ResourceManager[T]],
    *,
    limit: int | None = None,
    wait: float | None = None,
) -> Shared[T]: ...


def shared(
    resource: ResourceManager[T] | Callable[[], ResourceManager[T]],
    *,
    limit: int | None = None,
    wait: float | None = None,
) -> Shared[T]:
    """Let the tasks of a flow run share a resource.

    The first task that enters it opens it. It is closed when the flow run is over and no task uses
    it any more: after success, error, timeout, cancellation, SIGTERM and Ctrl-C; of several, the
    last opened first. A cleanup that fails is logged and stops no other. Each flow run opens its
    own, and so does each process that works for it; outside of flow runs each ``with`` does.

    It is set up in a thread of its own, and what it gives is used from many threads and loops. An
    async client that is bound to its loop is used through :meth:`Shared.run`.

    Args:
        resource: A resource that is not open, of which copies are opened; or what makes one.
        limit: Open up to so many, each for one task at a time; others wait. None: one for all.
        wait: Seconds that a task waits for a free one; for ever if None.

    Raises:
        ConfigError: The resource is open, or no resource; the limit is not a positive number.

    Example:
        >>> from prefect_etl.utils.database import DatabaseConnection
        >>> warehouse = shared(DatabaseConnection("duckdb://"), limit=4)
        >>> with warehouse as connection:
        ...     connection.blocking.fetchall("SELECT 40 + 2")
        [(42,)]
    """
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise ConfigError(f"the limit of a shared resource is a number from 1, not {limit!r}")
    if isinstance(resource, ResourceManager):
        if resource.is_open:
            raise ConfigError(
                f"this {type(resource).__name__} is open already",
                hint="Share it before it is opened: tasks open it.",
            )
        name = type(resource).__name__
        return Shared(partial(copy.copy, resource), name, limit=limit, wait=wait)
    if not callable(resource):
        raise ConfigError(f"{type(resource).__name__} is no resource, and makes none")
    name = getattr(resource, "__name__", type(resource).__name__)
    return Shared(partial(_made, resource), name, limit=limit, wait=wait)


def _made(make: Callable[[], ResourceManager[T]]) -> ResourceManager[T]:
    resource = make()
    if not isinstance(resource, ResourceManager):
        raise ConfigError(f"what makes a shared resource gave a {type(resource).__name__}")
    return resource
