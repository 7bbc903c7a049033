"""Prefect's futures, which can also be awaited.

A future keeps its place in its own class family: Prefect tracks dependencies, and Dask and Ray
find their futures, by ``isinstance``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from functools import cache
from typing import Any, TypeVar, cast

from prefect.futures import PrefectFuture, PrefectFutureList

R = TypeVar("R")


def awaitable(future: PrefectFuture[R]) -> PrefectFuture[R]:
    """The same future, of its own class with ``__await__`` added: awaiting gives its result.

    Example:
        >>> from prefect_etl import task
        >>> @task
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> async def quadruple(number: int) -> int:  # in a flow
        ...     return await double.submit(await double.submit(number))
    """
    future.__class__ = _awaitable_class(type(future))
    return future


def awaitable_list(futures: PrefectFutureList[R]) -> PrefectFutureList[R]:
    """The same list, whose futures can be awaited, one by one or all at once.

    Example:
        >>> from prefect_etl import task
        >>> @task
        ... def double(number: int) -> int:
        ...     return 2 * number
        >>> async def doubles(numbers: list[int]) -> list[int]:  # in a flow
        ...     return await double.map(numbers)
    """
    for future in futures:
        awaitable(future)
    futures.__class__ = cast("type[PrefectFutureList[R]]", _AwaitableList)
    return futures


class _AwaitableList(PrefectFutureList[R]):
    """Prefect's list of futures; awaiting gives all results in order."""

    def __await__(self) -> Generator[Any, None, list[R]]:
        return asyncio.gather(*(_result(future) for future in self)).__await__()


@cache
def _awaitable_class(theirs: type[PrefectFuture[Any]]) -> type[PrefectFuture[Any]]:
    if hasattr(theirs, "__await__"):
        return theirs

    def wait_for(self: PrefectFuture[Any]) -> Generator[Any, None, Any]:
        return _result(self).__await__()

    names = {"__await__": wait_for, "__module__": theirs.__module__, "__doc__": theirs.__doc__}
    return type(theirs.__name__, (theirs,), names)


async def _result(future: PrefectFuture[R]) -> R:
    running = getattr(future, "wrapped_future", None)
    if isinstance(running, Future):
        # No thread waits, so that thousands can be awaited at once. Shielded: a wait that is given
        # up does not cancel the run, as in Prefect.
        await asyncio.shield(asyncio.wrap_future(running))
        future.wait()  # it is done: takes over its state
        return cast("R", await future.state.aresult())
    return await asyncio.to_thread(future.result)
