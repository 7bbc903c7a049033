"""One partition at work: the task's function, called again as its retries say."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prefect import State, Task
from prefect.utilities.math import clamped_poisson_interval

from prefect_etl.core.retry import is_hopeless
from prefect_etl.orchestration.partitions.results import PartitionResult
from prefect_etl.orchestration.partitions.source import Unread

logger = logging.getLogger(__name__)
Wait = Callable[[float], object]
_DEEP = 100


@dataclass(frozen=True, slots=True)
class Retries:
    """The task's own retries, as Prefect understands them, for each partition."""

    task: Task[..., Any]

    def delay(self, attempt: int) -> float | None:
        """Seconds to wait after the failure of an attempt, from 1; None: do not try again."""
        if attempt > self.task.retries:
            return None
        delays = self.task.retry_delay_seconds
        if not delays:
            return 0.0
        if isinstance(delays, list | tuple):
            wanted = float(delays[min(attempt, len(delays)) - 1])
        else:
            wanted = float(delays)
        if self.task.retry_jitter_factor and wanted > 0:
            return clamped_poisson_interval(wanted, clamping_factor=self.task.retry_jitter_factor)
        return wanted

    def worthwhile(self, error: Exception, attempt: int, started: datetime) -> Any:
        """Whether another attempt may end better; awaitable if the user's condition is.

        Args:
            error: What the last one raised.
            attempt: Its number, from 1.
            started: When the partition's first one began, in UTC.
        """
        if is_hopeless(error):
            return False
        condition = self.task.retry_condition_fn
        if condition is None:
            return True
        try:
            return condition(self.task, *_as_prefect_asks(error, attempt, started))
        except Exception:  # the user's code; Prefect takes it for "no" as well
            logger.exception("retry_condition_fn of task %r failed", self.task.name)
            return False


def _as_prefect_asks(error: Exception, attempt: int, started: datetime) -> tuple[Any, State[Any]]:
    from prefect.context import TaskRunContext
    from prefect.states import Failed

    context = TaskRunContext.get()
    state: State[Any] = Failed(data=error, message=f"A partition failed: {error!r}")
    if context is None:
        return None, state
    # A condition looks there for attempts and time: the partition's own, not the packed run's.
    own = {"run_count": attempt, "start_time": started}
    return context.task_run.model_copy(update=own), state


class Attempt:
    """The attempts at one partition, of a plain function or a coroutine."""

    def __init__(self, retries: Retries, index: int, partition: Any) -> None:
        self._retries, self._index, self._partition = retries, index, partition
        self._number, self._began = 0, time.perf_counter()
        self._started = datetime.now(UTC)

    def run(self, value: Any, arguments: Mapping[str, Any], wait: Wait) -> PartitionResult[Any]:
        """Call a plain function until it succeeds or may not be called again."""
        if isinstance(value, Unread):
            return self._failed(value.error)
        function = self._retries.task.fn
        while True:
            self._number += 1
            try:
                return self._completed(_unwrapped(function(value, **arguments)))
            except Exception as error:  # noqa: BLE001 - all that it raises is the partition's
                delay = self._retries.delay(self._number)
                if delay is None or not _settled(self._worthwhile(error)):
                    return self._failed(error)
                self._say(error, delay)
            wait(delay)

    async def arun(self, value: Any, arguments: Mapping[str, Any]) -> PartitionResult[Any]:
        """As :meth:`run`, of a coroutine."""
        if isinstance(value, Unread):
            return self._failed(value.error)
        function = self._retries.task.fn
        while True:
            self._number += 1
            try:
                return self._completed(_unwrapped(await function(value, **arguments)))
            except Exception as error:  # noqa: BLE001 - all that it raises is the partition's
                delay = self._retries.delay(self._number)
                if delay is None or not await _asettled(self._worthwhile(error)):
                    return self._failed(error)
                self._say(error, delay)
            await asyncio.sleep(delay)

    def _worthwhile(self, error: Exception) -> Any:
        return self._retries.worthwhile(error, self._number, self._started)

    def _completed(self, value: Any) -> PartitionResult[Any]:
        seconds = time.perf_counter() - self._began
        return PartitionResult(
            self._index, self._partition, "completed", value, None, self._number, seconds
        )

    def _failed(self, error: Exception) -> PartitionResult[Any]:
        seconds = time.perf_counter() - self._began
        return PartitionResult(
            self._index, self._partition, "failed", None, _light(error), self._number, seconds
        )

    def _say(self, error: Exception, delay: float) -> None:
        logger.debug(
            "partition %s failed with %r in attempt %s; again in %.3g s",
            self._index,
            error,
            self._number,
            delay,
        )


def _unwrapped(value: Any) -> Any:
    """What a task means that returns a state: its value, or its error."""
    if not isinstance(value, State):
        return value
    if value.is_completed():
        return value.data
    raise value.data if isinstance(value.data, Exception) else RuntimeError(str(value))


def _settled(answer: Any) -> bool:
    if inspect.isawaitable(answer):
        from prefect.utilities.asyncutils import run_coro_as_sync

        return bool(run_coro_as_sync(_asettled(answer)))
    return bool(answer)


async def _asettled(answer: bool | Awaitable[bool]) -> bool:
    if not inspect.isawaitable(answer):
        return bool(answer)
    try:
        return bool(await answer)
    except Exception:  # the user's code; Prefect takes it for "no" as well
        logger.exception("retry_condition_fn failed")
        return False


def _light(error: Exception) -> Exception:
    """The error without our own frame, and without what the user's functions had in hand.

    Thousands of errors that hold on to their partitions would hold the whole of the data.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next
    linked: BaseException | None = error
    for _ in range(_DEEP):
        if linked is None:
            break
        traceback.clear_frames(linked.__traceback__)
        linked = linked.__cause__ or linked.__context__
    return error
