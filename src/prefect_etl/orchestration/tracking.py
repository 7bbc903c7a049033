"""What ``track_metrics=True`` records of a flow run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import aclosing
from functools import wraps
from typing import Any

# Tells `metrics`, too, how to find the flow run that a call belongs to.
import prefect_etl.orchestration.metrics  # noqa: F401


def tracked(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The flow's function, of the same kind, which records its run as well."""
    if inspect.isasyncgenfunction(fn):
        return _async_generator(fn)
    if inspect.isgeneratorfunction(fn):
        return _generator(fn)
    if inspect.iscoroutinefunction(fn):
        return _coroutine(fn)

    @wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        from prefect_etl.orchestration.metrics.attempts import attempt as begun

        with begun() as attempt, attempt.in_scope():
            return attempt.gave(fn(*args, **kwargs))

    return run


def _coroutine(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        from prefect_etl.orchestration.metrics.attempts import async_attempt as begun

        async with begun() as attempt:
            with attempt.in_scope():
                return attempt.gave(await fn(*args, **kwargs))

    return run


def _generator(fn: Callable[..., Any]) -> Callable[..., Any]:
    # Between its values the context is its caller's: there Prefect's own says the run.
    @wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        from prefect_etl.orchestration.metrics.attempts import attempt as begun

        with begun() as attempt:
            return attempt.gave((yield from fn(*args, **kwargs)))

    return run


def _async_generator(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        from prefect_etl.orchestration.metrics.attempts import async_attempt as begun

        async with begun(), aclosing(fn(*args, **kwargs)) as items:
            async for item in items:
                yield item

    return run
