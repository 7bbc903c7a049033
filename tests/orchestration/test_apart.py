from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import threading
from types import FrameType

import pytest

from prefect_etl.orchestration.apart import run_apart


class Stop(BaseException):
    """What a handler raises."""


def raise_stop(_number: int, _frame: FrameType | None) -> None:
    raise Stop


def test_a_coroutine_runs_inside_a_running_loop() -> None:
    async def inner() -> int:
        return threading.get_ident()

    async def outer() -> int:
        return run_apart(inner)

    assert asyncio.run(outer()) != threading.get_ident()


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    async def fail() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        run_apart(fail)


def test_the_callers_context_is_the_coroutines() -> None:
    name = contextvars.ContextVar("name", default="")
    name.set("here")

    async def read() -> str:
        return name.get()

    assert run_apart(read) == "here"


def test_a_signal_cancels_the_coroutine_and_is_raised_when_it_has_closed() -> None:
    closed: list[str] = []

    async def turn() -> None:
        await asyncio.sleep(0)

    async def busy() -> None:
        try:
            asyncio.get_running_loop().call_later(
                0.01, lambda: os.kill(os.getpid(), signal.SIGUSR1)
            )
            while True:  # callbacks without end, in one of which a handler would raise
                await turn()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            closed.append("closed")
            raise

    before = signal.signal(signal.SIGUSR1, raise_stop)
    try:
        with pytest.raises(Stop):
            run_apart(busy)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert closed == ["closed"]
