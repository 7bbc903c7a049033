"""Measures how long a block or a function takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Timer:
    """A block with ``with`` or ``async with``, or a function under ``@``; may be used again.

    Attributes:
        seconds: What the last block took, in this thread or async task.
    """

    def __init__(self, record: Callable[[float], None]) -> None:
        self._record = record
        # Blocks may be nested, and run in many threads and async tasks at once.
        self._started: ContextVar[tuple[float, ...]] = ContextVar("started", default=())
        self._seconds: ContextVar[float] = ContextVar("seconds", default=0.0)

    @property
    def seconds(self) -> float:
        """What the last block took, in this thread or async task."""
        return self._seconds.get()

    def __enter__(self) -> Timer:
        self._started.set((*self._started.get(), perf_counter()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        *outer, started = self._started.get()
        self._started.set(tuple(outer))
        seconds = perf_counter() - started
        self._seconds.set(seconds)
        self._record(seconds)

    async def __aenter__(self) -> Timer:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, fn: F) -> F:
        """The function, each call of which is measured; of its own kind, sync or async."""
        return _timed(fn, self._record)


def _timed(fn: F, record: Callable[[float], None]) -> F:
    wrapper: Any
    if inspect.isasyncgenfunction(fn):

        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                async for value in fn(*args, **kwargs):
                    yield value
            finally:
                record(perf_counter() - started)

    elif inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                return await fn(*args, **kwargs)
            finally:
                record(perf_counter() - started)

    elif inspect.isgeneratorfunction(fn):

        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                return (yield from fn(*args, **kwargs))
            finally:
                record(perf_counter() - started)

    else:

        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = perf_counter()
            try:
                return fn(*args, **kwargs)
            finally:
                record(perf_counter() - started)

    return wrapper  # type: ignore[no-any-return]
