"""A coroutine that runs apart from the main thread, where signals are raised."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

R = TypeVar("R")


def run_apart(call: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a coroutine in a loop and a thread of its own, and wait; also inside a running loop.

    Python raises Ctrl-C, and what a signal's handler raises, in the main thread at any instant:
    within an event loop that may be one of its callbacks, where the loop logs it and goes on. Here
    it reaches only the thread that waits, which cancels the coroutine, lets it close what is open,
    and raises it again.

    Example:
        >>> async def answer() -> int:
        ...     return 42
        >>> run_apart(answer)
        42
    """
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    loop = runner.get_loop()
    task = loop.create_task(call())
    outcome: Future[R] = Future()
    thread = threading.Thread(target=_work, args=(runner, task, outcome), name="prefect_etl-run")
    try:
        thread.start()
        return outcome.result()
    except BaseException:  # Ctrl-C, or what a handler raised: the run ends first
        with suppress(RuntimeError):  # the loop is closed: the run is over
            loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        if thread.ident is not None:
            thread.join()


def _work(runner: asyncio.Runner, task: asyncio.Task[R], outcome: Future[R]) -> None:
    try:
        with runner:
            result = runner.get_loop().run_until_complete(task)
    except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
        outcome.set_exception(error)
    else:
        outcome.set_result(result)
