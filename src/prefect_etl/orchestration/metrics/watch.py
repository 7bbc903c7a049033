"""A thread that looks after the open runs: reads journals, notes memory, keeps records fresh."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

PAUSE = 0.25
_watched: dict[object, Callable[[], None]] = {}
_lock = threading.Lock()
_wake = threading.Event()
_thread: threading.Thread | None = None


def watch(key: object, look: Callable[[], None]) -> None:
    """Call ``look`` four times a second until :func:`unwatch`."""
    global _thread  # noqa: PLW0603 - one thread for the process
    with _lock:
        _watched[key] = look
        _wake.clear()
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_run, name="prefect-etl-metrics", daemon=True)
            _thread.start()


def unwatch(key: object) -> None:
    """Call it no more."""
    with _lock:
        _watched.pop(key, None)
        if not _watched:
            _wake.set()


def _run() -> None:
    global _thread  # noqa: PLW0603 - as above
    while True:
        _wake.wait(PAUSE)
        with _lock:
            if not _watched:
                _thread = None
                return
            looks = list(_watched.values())
        for look in looks:
            try:
                look()
            except Exception:  # a measure must not end the thread that takes the next one
                logger.debug("a run's metrics could not be looked after", exc_info=True)


def _forked() -> None:
    global _lock, _thread
    _lock, _thread = threading.Lock(), None
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
