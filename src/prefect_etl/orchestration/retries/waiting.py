"""Waits within a task run; tests may skip them, and the time that they skip is kept in mind."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any


@dataclass
class _Skipped:
    """Seconds that were not waited, by task run, while somebody asks to wait for nothing."""

    lock: Lock = field(default_factory=Lock)
    depth: int = 0
    seconds: defaultdict[Any, float] = field(default_factory=lambda: defaultdict(float))


_skipped = _Skipped()
# How the caller of a plain function waits, where that can be stopped.
_sleep: ContextVar[Callable[[float], object]] = ContextVar("wait of retries", default=time.sleep)


@contextmanager
def waiting_by(sleep: Callable[[float], object]) -> Iterator[None]:
    """Wait in this context as the function does; what it raises ends the attempts."""
    token = _sleep.set(sleep)
    try:
        yield
    finally:
        _sleep.reset(token)


@contextmanager
def skipped_waits() -> Iterator[None]:
    """Wait for nothing in this process while the context, or another one, is open."""
    with _skipped.lock:
        _skipped.depth += 1
    try:
        yield
    finally:
        with _skipped.lock:
            _skipped.depth -= 1
            if not _skipped.depth:
                _skipped.seconds.clear()


def elapsed_since_start(task_run: Any) -> float:
    """Seconds since a task run began, those too that were skipped."""
    started = getattr(task_run, "start_time", None)
    passed = (datetime.now(UTC) - started).total_seconds() if started else 0.0
    return max(passed, 0.0) + _skipped.seconds.get(_key(task_run), 0.0)


def wait(seconds: float, task_run: Any, *, elsewhere: float) -> None:
    """Wait between two attempts of a task run.

    Args:
        seconds: How long in all.
        task_run: Prefect's task run.
        elsewhere: The part of it that Prefect waits.
    """
    if not _skips(seconds, task_run):
        _sleep.get()(max(seconds - elsewhere, 0.0))


async def wait_async(seconds: float, task_run: Any, *, elsewhere: float) -> None:
    """As :func:`wait`, without stopping the event loop."""
    if not _skips(seconds, task_run):
        await asyncio.sleep(max(seconds - elsewhere, 0.0))


def _skips(seconds: float, task_run: Any) -> bool:
    with _skipped.lock:
        if _skipped.depth:
            _skipped.seconds[_key(task_run)] += seconds
        return bool(_skipped.depth)


def _key(task_run: Any) -> Any:
    # Partitions of a packed run share its id, and begin at times of their own.
    return getattr(task_run, "id", None), getattr(task_run, "start_time", None)
