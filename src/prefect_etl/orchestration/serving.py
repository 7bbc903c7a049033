"""Calls of flows and tasks find an API to talk to.

A flow or task that is called where no API is configured uses the local server that all processes
of the user share; plain Prefect would start a server for this one call, and wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from prefect.context import FlowRunContext, TaskRunContext
from prefect.utilities.visualization import get_task_viz_tracker

from prefect_etl.orchestration.server.lifecycle import ensure_server
from prefect_etl.orchestration.server.use import point_at, use_server

R = TypeVar("R")


def served(call: Callable[[], Any], *, defer: bool = False) -> Any:
    """Make the call with an API to talk to.

    Args:
        call: What to do in Prefect.
        defer: It gives an awaitable: wait for the server there, without stopping the event loop.
    """
    if _within_a_run():
        return call()
    if defer:
        return _served_later(call)
    use_server()
    return call()


async def _served_later(call: Callable[[], Awaitable[R]]) -> R:
    point_at(await asyncio.to_thread(ensure_server))
    return await call()


def _within_a_run() -> bool:
    # The API of the run around it, whichever that is; a drawing of the flow needs none.
    return bool(FlowRunContext.get() or TaskRunContext.get() or get_task_viz_tracker())
