"""Flows are not run again after errors that would only come again.

It is the server that retries a flow run, whatever the error, as often as the run's record says. So
the record is changed before the error gets there.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import aclosing
from functools import wraps
from typing import Any

from prefect.context import FlowRunContext
from prefect.logging import get_run_logger

from prefect_etl.core.retry import is_hopeless


def giving_up(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A flow's function, of the same kind, whose flow run is not tried again after some errors.

    Args:
        fn: The flow's function.
    """
    if inspect.isasyncgenfunction(fn):
        return _async_generator(fn)
    if inspect.isgeneratorfunction(fn):
        return _generator(fn)
    if inspect.iscoroutinefunction(fn):
        return _coroutine(fn)

    @wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            _give_up(error, run)
            raise

    return run


def _generator(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return (yield from fn(*args, **kwargs))
        except Exception as error:
            _give_up(error, run)
            raise

    return run


def _coroutine(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return await fn(*args, **kwargs)
        except Exception as error:
            await _give_up_async(error, run)
            raise

    return run


def _async_generator(fn: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(fn)
    async def run(*args: Any, **kwargs: Any) -> Any:
        try:
            async with aclosing(fn(*args, **kwargs)) as items:
                async for item in items:
                    yield item
        except Exception as error:
            await _give_up_async(error, run)
            raise

    return run


def _give_up(error: Exception, run: Callable[..., Any]) -> None:
    context = _retried(error, run)
    if context is None:
        return
    try:
        context.client.update_flow_run(**_no_more_retries(context))
    except Exception as failed:  # noqa: BLE001 - whatever it is, the flow's own error matters more
        get_run_logger().warning("This run may be tried again in vain: %r", failed)


async def _give_up_async(error: Exception, run: Callable[..., Any]) -> None:
    context = _retried(error, run)
    if context is None:
        return
    try:
        await context.client.update_flow_run(**_no_more_retries(context))
    except Exception as failed:  # noqa: BLE001 - as above
        get_run_logger().warning("This run may be tried again in vain: %r", failed)


def _retried(error: Exception, run: Callable[..., Any]) -> Any:
    """The context of the flow run that would be tried again in vain."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or not is_hopeless(error):
        return None
    # A flow's function may be called by another flow's run, as `flow.fn(...)`.
    if (
        getattr(context.flow, "fn", None) is not run
        or not context.flow_run.empirical_policy.retries
    ):
        return None
    get_run_logger().error("Not tried again: %s would only come again", type(error).__name__)
    return context


def _no_more_retries(context: Any) -> dict[str, Any]:
    run = context.flow_run
    policy = run.empirical_policy.model_copy(update={"retries": 0})
    return {"flow_run_id": run.id, "empirical_policy": policy}
