"""A signal stops the statement that the main thread waits for, whichever thread works on it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` before the handlers of SIGINT and SIGTERM, while the block runs.

    DuckDB notices in the main thread that a handler raised, and then waits for its worker threads,
    which nobody has told: without this a long pipeline runs to its end first.

    Args:
        stop: Must not wait: it is called between two instructions of the block.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    replaced = [put for number in _STOPPING if (put := _put_before(number, stop))]
    try:
        yield
    finally:
        for number, ours, theirs in replaced:
            # The block may have set one of its own, which stays.
            if signal.getsignal(number) is ours:
                signal.signal(number, theirs)


def _put_before(number: signal.Signals, stop: Callable[[], None]) -> tuple[int, Any, Any] | None:
    theirs = signal.getsignal(number)
    if not callable(theirs):  # the signal is ignored, or ends the process at once
        return None

    def stopping(received: int, frame: FrameType | None) -> None:
        stop()
        theirs(received, frame)

    signal.signal(number, stopping)
    return number, stopping, theirs
