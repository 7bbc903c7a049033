"""Measures how long a block or a function takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Any, Self, TypeVar

from prefect_etl.errors import ConfigError

Record = Callable[[float], None]
F = TypeVar("F", bound=Callable[..., Any])


class Timer:
    """A block with ``with`` or ``async with``, or a function under ``@``.

    Attributes:
        seconds: What the last block took.
    """

    __slots__ = ("_find", "_record", "_started", "seconds")

    def __init__(self, find: Callable[[], Record]) -> None:
        # Asked at the start of a block: a name that cannot be fails before the work, not after.
        self._find = find
        self._record: Record | None = None
        self._started = 0.0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        if self._started:
            raise ConfigError(
                "this timer is measuring a block already",
                hint="Call metrics.timer for each block; only functions may share one.",
            )
        self._record = self._find()
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
        if self._record is not None:
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
        """The function, each call of which is measured; of its own kind, sync or async.

        Raises:
            ConfigError: It is a task, a flow or another object, which would become a function.
        """
        if not inspect.isroutine(fn):
            raise ConfigError(
                f"metrics.timer measures functions, not a {type(fn).__name__}",
                hint="Write @metrics.timer(…) below @task or @flow, next to the function.",
            )
        return _timed(fn, self._find)


def _timed(fn: F, find: Callable[[], Record]) -> F:
    wrapper: Any
    if inspect.isasyncgenfunction(fn):

        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            record, started = find(), perf_counter()
            try:
                async for value in fn(*args, **kwargs):
                    yield value
            finally:
                record(perf_counter() - started)

    elif inspect.iscoroutinefunction(fn):

        @functools.wraps(fn)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            record, started = find(), perf_counter()
            try:
                return await fn(*args, **kwargs)
            finally:
                record(perf_counter() - started)

    elif inspect.isgeneratorfunction(fn):

        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            record, started = find(), perf_counter()
            try:
                return (yield from fn(*args, **kwargs))
            finally:
                record(perf_counter() - started)

    else:

        @functools.wraps(fn)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            record, started = find(), perf_counter()
            try:
                return fn(*args, **kwargs)
            finally:
                record(perf_counter() - started)

    return wrapper  # type: ignore[no-any-return]
