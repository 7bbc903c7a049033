"""Resources with guaranteed cleanup: ``setup``, ``cleanup``, ``with`` and ``async with``."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)
from inspect import getattr_static
from types import TracebackType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar, overload

from prefect_etl.errors import ConfigError
from prefect_etl.utils.resources.lifetimes import InPlace, InTask, InThread
from prefect_etl.utils.resources.opening import is_async, note_failure

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class ResourceManager(Generic[T]):
    """Something that is opened before use and closed after it, whatever happens in between.

    A subclass writes ``setup``, which opens it and gives what ``with`` is to give, and ``cleanup``.
    Each may be a plain function or ``async def``, and each kind works in ``with`` and in
    ``async with``. A subclass need not call ``super().__init__()``.

    - ``cleanup`` also follows a ``setup`` that failed or was cancelled, and so has to bear that
      nothing is open yet.
    - If the block failed, a ``cleanup`` that fails, too, is logged and noted in the first error.
    - A plain ``with`` over async functions runs them in a loop and a thread of their own, which
      live as long as the resource; :meth:`run` runs a coroutine there.
    - One that is open cannot be entered again; one that is closed can.

    A subclass that leaves something behind when its process is killed gives :meth:`handle` and
    :meth:`reap`.

    Example:
        >>> class Scratch(ResourceManager[list[str]]):
        ...     def setup(self) -> list[str]:
        ...         print("open")
        ...         return []
        ...     async def cleanup(self) -> None:
        ...         print("closed")
        >>> with Scratch() as rows:
        ...     rows.append("a row")
        open
        closed
    """

    can_reap: ClassVar[bool] = False
    _life: InPlace[T] | InTask[T] | InThread[T] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.can_reap = getattr_static(cls, "reap") is not getattr_static(ResourceManager, "reap")

    def setup(self) -> T | Awaitable[T]:
        """Open it, and give what ``with`` gives."""
        raise NotImplementedError(f"{type(self).__name__} has no setup")

    def cleanup(self) -> Awaitable[None] | None:
        """Close what is open."""
        return None

    def handle(self) -> Mapping[str, Any] | None:
        """What :meth:`reap` needs to know: JSON values without secrets, or None for nothing yet.

        Asked before ``setup`` and after it. What it gives is on disk, durably, before the work
        that follows: give before ``setup`` what is known then, such as a name made by
        ``__init__``, and no instant is left at which a kill leaves something unknown.
        """
        return None

    @classmethod
    def reap(cls, handle: Mapping[str, Any]) -> Any:
        """Close what a killed process left open; plain or async. It may be gone already.

        Called when the class is next opened on this machine, and by ``prefect-etl doctor``. If it
        raises, the lease stays, and it is called again.
        """
        raise NotImplementedError(f"{cls.__name__} has no reap")

    @property
    def is_open(self) -> bool:
        """Whether it is in use now."""
        return self._life is not None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The private loop of an async resource that a plain ``with`` has open; else None."""
        return self._life.loop if isinstance(self._life, InThread) else None

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Run a coroutine in the loop of an async resource that a plain ``with`` has open.

        Raises:
            ConfigError: There is no such loop.
        """
        loop = self.loop
        if loop is None:
            work.close()
            raise ConfigError(
                f"{type(self).__name__} has no loop of its own",
                hint="That is for an async resource within a plain `with`; else await it.",
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def __enter__(self) -> T:
        life: InPlace[T] | InThread[T] = InThread(lambda: self) if is_async(self) else InPlace(self)
        self._begin(life)
        try:
            return life.open()
        except BaseException:  # also Ctrl-C: it is not open
            self._end()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        life = self._end()
        if isinstance(life, InTask):
            raise ConfigError(
                f"{type(self).__name__} was opened by `async with`, and left by `with`"
            )
        try:
            life.close()
        except Exception as failed:
            if error is None:
                raise
            note_failure(self, failed, error)

    async def __aenter__(self) -> T:
        life: InPlace[T] | InTask[T] = InTask(self) if is_async(self) else InPlace(self)
        self._begin(life)
        try:
            return await life.open() if isinstance(life, InTask) else life.open()
        except BaseException:  # also a cancellation: it is not open
            self._end()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        life = self._end()
        try:
            await life.close() if isinstance(life, InTask) else life.close()
        except Exception as failed:
            if error is None:
                raise
            note_failure(self, failed, error)

    def _begin(self, life: InPlace[T] | InTask[T] | InThread[T]) -> None:
        # One step, so that of two threads one is refused.
        if self.__dict__.setdefault("_life", life) is not life:
            raise ConfigError(
                f"this {type(self).__name__} is open already",
                hint="Make one for each `with`, or let tasks share it: shared(...).",
            )

    def _end(self) -> InPlace[T] | InTask[T] | InThread[T]:
        life: InPlace[T] | InTask[T] | InThread[T] | None = self.__dict__.pop("_life", None)
        if life is None:
            raise ConfigError(f"this {type(self).__name__} is not open")
        return life


@overload
def resource(
    function: Callable[P, AsyncGenerator[T, None]], /
) -> Callable[P, ResourceManager[T]]: ...


@overload
def resource(function: Callable[P, AsyncIterator[T]], /) -> Callable[P, ResourceManager[T]]: ...


@overload
def resource(
    function: Callable[P, Generator[T, None, None]], /
) -> Callable[P, ResourceManager[T]]: ...


@overload
def resource(function: Callable[P, Iterator[T]], /) -> Callable[P, ResourceManager[T]]: ...


def resource(function: Callable[P, Any], /) -> Callable[P, ResourceManager[Any]]:
    """Make a resource of a generator function: setup, one ``yield``, cleanup.

    What stands after the ``yield`` runs after a block that failed, too; it does not get the error,
    since a shared resource has many users.

    Args:
        function: A generator function, or an async one.

    Raises:
        ConfigError: The function is no generator function; or, when it is left, it yields twice.

    Example:
        >>> @resource
        ... def numbered(first: int) -> Iterator[int]:
        ...     print("open")
        ...     yield first
        ...     print("closed")
        >>> with numbered(7) as number:
        ...     print(number)
        open
        7
        closed
    """
    if inspect.isasyncgenfunction(function):
        kind: type[_Generated] = _AsyncGenerated
    elif inspect.isgeneratorfunction(function):
        kind = _Generated
    else:
        name = getattr(function, "__name__", repr(function))
        raise ConfigError(
            f"{name} is no generator function", hint="@resource wants one `yield` in it."
        )

    @functools.wraps(function)
    def make(*args: P.args, **kwargs: P.kwargs) -> ResourceManager[Any]:
        return kind(function, args, kwargs)

    return make


class _Generated(ResourceManager[Any]):
    """A resource of a generator function."""

    _running: Any = None

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._made_by = function, args, kwargs

    def setup(self) -> Any:
        function, args, kwargs = self._made_by
        self._running = function(*args, **kwargs)
        try:
            return next(self._running)
        except StopIteration:
            raise self._wrong("without a yield") from None

    def cleanup(self) -> Any:
        running, self._running = self._running, None
        if running is not None and next(running, _OVER) is not _OVER:
            running.close()
            raise self._wrong("after more than one yield")

    def _wrong(self, how: str) -> ConfigError:
        name = self._made_by[0].__name__
        return ConfigError(f"the resource {name} ended {how}", hint="Write one `yield` in it.")


class _AsyncGenerated(_Generated):
    """A resource of an async generator function."""

    async def setup(self) -> Any:
        function, args, kwargs = self._made_by
        self._running = function(*args, **kwargs)
        try:
            return await anext(self._running)
        except StopAsyncIteration:
            raise self._wrong("without a yield") from None

    async def cleanup(self) -> Any:
        running, self._running = self._running, None
        if running is not None and await anext(running, _OVER) is not _OVER:
            await running.aclose()
            raise self._wrong("after more than one yield")


_OVER = object()
