"""Cleanups that Ctrl-C and SIGTERM do not cut short."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep the first SIGINT or SIGTERM until the block is over; a second one comes through.

    Python calls the handlers of signals in the main thread only, so in others nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept: list[tuple[int, FrameType | None]] = []
    theirs = {number: signal.getsignal(number) for number in _STOPPING}
    theirs = {number: handler for number, handler in theirs.items() if callable(handler)}

    def keep(number: int, frame: FrameType | None) -> None:
        if kept:
            _call(theirs, number, frame)
        kept.append((number, frame))

    for number in theirs:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in theirs.items():
            if signal.getsignal(number) is keep:
                signal.signal(number, handler)
    if kept:
        _call(theirs, *kept[0])


def _call(handlers: dict[signal.Signals, Any], number: int, frame: FrameType | None) -> None:
    handlers[signal.Signals(number)](number, frame)


def waited(future: Future[Any]) -> None:
    """Wait for a future's end; the first interruption is raised afterwards, the second at once.

    Example:
        >>> done: Future[int] = Future()
        >>> done.set_exception(ValueError("kept in the future"))
        >>> waited(done)
    """
    try:
        future.exception()
    except BaseException:  # a signal's handler raised
        future.exception()
        raise


async def settled(futures: Iterable[asyncio.Future[Any]]) -> asyncio.CancelledError | None:
    """Wait for the end of all, whatever happens to the one that waits; its cancellation, if any."""
    pending, interrupted = set(futures), None
    with _shield():
        while pending := {future for future in pending if not future.done()}:
            try:
                await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                interrupted = error
    return interrupted


def _shield() -> AbstractContextManager[object]:
    # A scope of anyio's that is cancelled, such as Prefect's timeout, cancels its tasks in every
    # turn of the loop until they leave it; nobody has such a scope where anyio is not loaded.
    anyio = sys.modules.get("anyio")
    return anyio.CancelScope(shield=True) if anyio else nullcontext()
