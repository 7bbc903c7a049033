"""A signal stops the statement that the main thread waits for, whichever thread works on it."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_while_blocked(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGINT and SIGTERM also while the main thread hears nothing.

    Where it waits in the engine for another thread, which waits for a server, no handler runs until
    the server answers. So a thread of its own waits for signals, and has the server told. Where an
    event loop does that already, this does nothing.

    Args:
        stop: As for :func:`stopped_by_signals`; called from the other thread, so it may wait.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receives, sends = socket.socketpair()
    sends.setblocking(False)
    before = signal.set_wakeup_fd(sends.fileno(), warn_on_full_buffer=False)
    if before != -1:
        signal.set_wakeup_fd(before)
        receives.close()
        sends.close()
        yield
        return
    watcher = threading.Thread(target=_watch, args=(receives, stop), name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        sends.close()
        watcher.join()
        receives.close()


def _watch(receives: socket.socket, stop: Callable[[], None]) -> None:
    while numbers := receives.recv(1):
        if numbers[0] in _STOPPING:
            stop()


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
    running = [True]

    def stop_running() -> None:
        # Blocks may end in another order than they began, and leave this in a chain of handlers.
        if running:
            stop()

    replaced = [put for number in _STOPPING if (put := _put_before(number, stop_running))]
    try:
        yield
    finally:
        running.clear()
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
