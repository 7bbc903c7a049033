"""Measures how long a block or a function takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

from prefect_etl.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class Timer:
    """A block with ``with`` or ``async with``, or a function under ``@``.

    Attributes:
        seconds: What the last block took.
    """

    __slots__ = ("_record", "_started", "seconds")

    def __init__(self, record: Callable[[float], None]) -> None:
        self._record = record
        self._started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        if self._started:
            raise ConfigError(
                "this timer is measuring a block already",
                hint="Call metrics.timer for each block; only functions may share one.",
            )
        self._started = perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.seconds = perf_counter() - self._started
        self._started = 0.0
        self._record(self.seconds)

    async def __aenter__(self) -> Self:
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
