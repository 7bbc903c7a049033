"""Tests of retrying code that take no time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Self

from prefect_etl.orchestration.retries.waiting import skipped_waits

_DELAY = "retry_delay_seconds"
_lock = Lock()
_depth = 0


@contextmanager
def instant_retries() -> Iterator[None]:
    """Retry without waiting, in all threads of this process, while the context is open.

    Retries themselves stay: as many attempts, for the same errors; a deadline counts the time that
    was not waited. For tasks and flows of ours and of plain Prefect, whenever they were made.
    Contexts may be nested, and open in several threads. A flow run keeps the delay that it was
    created with; programs that a test starts wait as always.

    Example:
        >>> from prefect_etl import task
        >>> @task(retries=3, retry_delay_seconds=600)
        ... def fetch() -> None: ...
        >>> with instant_retries():
        ...     float(fetch.retry_delay_seconds)
        0.0
        >>> fetch.retry_delay_seconds
        600

        As a fixture of pytest::

            @pytest.fixture(autouse=True)
            def no_waiting():
                with instant_retries():
                    yield
    """
    _change(+1)
    try:
        with skipped_waits():
            yield
    finally:
        _change(-1)


class _NoDelay(float):
    """Zero to Prefect's engine, which remembers the delay that a copy of the task shall have."""

    meant: Any

    def __new__(cls, meant: Any) -> Self:
        self = super().__new__(cls, 0.0)
        self.meant = meant
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _NoDelay, (self.meant,)


class _Delay:
    """In the place of the attribute: Prefect reads it from the task at each retry."""

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        delay = _meant(vars(owner).get(_DELAY))
        return _NoDelay(delay) if delay else delay

    def __set__(self, owner: Any, delay: Any) -> None:
        vars(owner)[_DELAY] = _meant(delay)


def _meant(delay: Any) -> Any:
    return delay.meant if isinstance(delay, _NoDelay) else delay


def _change(by: int) -> None:
    from prefect import Flow, Task  # the tests of connectors do without Prefect

    global _depth  # noqa: PLW0603 - the classes of Prefect are global, too
    with _lock:
        _depth += by
        if by > 0 and _depth == 1:
            for kind in (Task, Flow):
                setattr(kind, _DELAY, _Delay())
        elif not _depth:
            for kind in (Task, Flow):
                delattr(kind, _DELAY)
