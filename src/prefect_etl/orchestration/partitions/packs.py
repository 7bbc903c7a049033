"""Packed runs: one task run of Prefect works through many partitions."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect import Task
from prefect.states import Cancelled

from prefect_etl.errors import EtlError, StorageError
from prefect_etl.orchestration.partitions.attempts import Attempt, Retries
from prefect_etl.orchestration.partitions.results import PartitionResult
from prefect_etl.orchestration.partitions.source import Item, Items
from prefect_etl.orchestration.partitions.travel import Compact, dumps
from prefect_etl.orchestration.retries.waiting import waiting_by

if TYPE_CHECKING:
    from prefect_etl.orchestration.partitions.record import Record

_NAMED = 3
_MOMENT = 0.2


class Link:
    """What packed runs share with the call of ``map_partitions`` while they are in its process.

    In another process there is a link of its own, to nothing: nothing there depends on it.

    Attributes:
        stop: Set when no further partition is to be begun.
        finished: Partitions that are done.
        failed: How many of them failed.
        seconds: What they took, all together.
        record: Where values are kept; None if nowhere.
        broken: Why they can be kept no longer.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.finished = self.failed = 0
        self.seconds = 0.0
        self.record: Record | None = None
        self.broken: StorageError | None = None
        self._lock = threading.Lock()

    def note(self, result: PartitionResult[Any], key: str | None) -> None:
        """Take note of a partition that is done, in the record too."""
        if self.record is not None and key is not None:
            try:
                self.record.add(key, result)
            except StorageError as error:
                self.broken = error
                self.stop.set()
        with self._lock:
            self.finished += 1
            self.failed += not result.ok
            self.seconds += result.duration

    def pace(self) -> float | None:
        """Seconds that a partition took up to now; None if none is done."""
        return self.seconds / self.finished if self.finished else None

    def wait(self, seconds: float) -> None:
        """Wait, unless all is to stop."""
        # A wait of none would still take a lock.
        if seconds and self.stop.wait(seconds):
            raise Stopped

    def __reduce__(self) -> tuple[Any, ...]:
        return Link, ()


class Stopped(BaseException):
    """No further attempt is to be made; not an ``Exception``, which would be a partition's."""


class Pack:
    """What one packed run has to do.

    Not a dataclass: Prefect looks for futures in all parts of those.

    Args:
        task: The user's task.
        items: The partitions.
        keys: Their names in the record; None if nothing is recorded.
        width: How many are worked on at a time; more than one for coroutines only.
        link: To the call of ``map_partitions``.
    """

    def __init__(
        self, task: Task[..., Any], items: Items, keys: list[str] | None, width: int, link: Link
    ) -> None:
        self.task, self.items, self.keys, self.width, self.link = task, items, keys, width, link

    @property
    def name(self) -> str:
        """The task, and the numbers of the first and the last partition."""
        first, last = self.items.ends
        return f"{self.task.name} {first}-{last}"

    def numbered(self) -> Iterator[tuple[str | None, Item]]:
        """The partitions with their names in the record."""
        for place, item in enumerate(self.items):
            yield (self.keys[place] if self.keys else None), item


@dataclass(frozen=True)
class Outcome:
    """What a packed run found: a result for each partition that it came to, by its place.

    Attributes:
        results: In the order of the partitions.
        noted: Whether the call of ``map_partitions`` has taken note of them.
    """

    results: list[PartitionResult[Any]]
    noted: bool

    def __reduce__(self) -> tuple[Any, ...]:
        return _outcome, (Compact([_portable(result) for result in self.results]),)


def _outcome(results: Compact) -> Outcome:
    return Outcome(results.value, noted=False)


class PackError(EtlError):
    """Partitions of a packed run failed: Prefect shows the task run as failed, and caches nothing.

    Attributes:
        outcome: All results, those that succeeded too.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome

    def __reduce__(self) -> tuple[object, ...]:
        return PackError, (self.message, self.outcome)


def run_pack(pack: Pack, arguments: Mapping[str, Any]) -> Any:
    """Work through a pack, one partition after the other.

    Raises:
        PackError: Some failed.
    """
    retries, results, deadline = Retries(pack.task), [], Deadline(pack.task)

    def wait(seconds: float) -> None:
        pack.link.wait(min(seconds, deadline.left))
        if deadline.over:
            raise Stopped

    try:
        with waiting_by(wait):  # the waits of a retry policy, too
            for key, (index, partition, value) in pack.numbered():
                if pack.link.stop.is_set() or deadline.over:
                    break
                attempt = Attempt(retries, index, partition)
                results.append(attempt.run(value, arguments, wait))
                pack.link.note(results[-1], key)
    except BaseException:  # Prefect's timeout is raised in the thread, as its cancellation
        if not (pack.link.stop.is_set() or deadline.over):
            raise
    return _ended(pack, results, deadline.over)


async def arun_pack(pack: Pack, arguments: Mapping[str, Any]) -> Any:
    """Work through a pack, several partitions at a time.

    Raises:
        PackError: Some failed.
    """
    retries, results, deadline = Retries(pack.task), [], Deadline(pack.task)
    waiting = pack.numbered()

    async def work() -> None:
        for key, (index, partition, value) in waiting:
            if pack.link.stop.is_set() or deadline.over:
                break
            result = await Attempt(retries, index, partition).arun(value, arguments)
            results.append(result)
            pack.link.note(result, key)

    workers = [asyncio.ensure_future(work()) for _ in range(min(pack.width, len(pack.items)))]
    try:
        while await _running(workers, deadline.left):
            if pack.link.stop.is_set() or deadline.over:
                break
    finally:
        for worker in workers:
            worker.cancel()
        ended = await asyncio.gather(*workers, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error
    return _ended(pack, results, deadline.over)


async def _running(workers: Sequence[asyncio.Future[None]], left: float) -> bool:
    """Whether any goes on, after a moment: another thread may say that all is to stop."""
    _, pending = await asyncio.wait(
        workers, timeout=min(left, _MOMENT), return_when=asyncio.FIRST_EXCEPTION
    )
    return bool(pending) and not any(worker.done() and worker.exception() for worker in workers)


class Deadline:
    """The end of a packed run's time: a little before Prefect's, which loses what is done."""

    def __init__(self, task: Task[..., Any]) -> None:
        seconds = task.timeout_seconds
        self._end = None if seconds is None else time.monotonic() + 0.97 * float(seconds)

    @property
    def left(self) -> float:
        """Seconds."""
        return math.inf if self._end is None else max(self._end - time.monotonic(), 0.0)

    @property
    def over(self) -> bool:
        """Whether it has come."""
        return self.left == 0


def _ended(pack: Pack, results: list[PartitionResult[Any]], overdue: bool) -> Any:
    outcome = Outcome(results, noted=True)
    missing = len(pack.items) - len(results)
    if missing and overdue:
        results.extend(_timed_out(pack, {result.index for result in results}))
    elif missing:
        return Cancelled(message=f"stopped with {missing} partitions left", data=outcome)
    results.sort(key=lambda result: result.index)
    failed = [result for result in results if not result.ok]
    if failed:
        named = "; ".join(f"{result.name}: {result.error!r}" for result in failed[:_NAMED])
        raise PackError(f"{len(failed)} of {len(pack.items)} partitions failed: {named}", outcome)
    return outcome


def _timed_out(pack: Pack, done: set[int]) -> list[PartitionResult[Any]]:
    error = TimeoutError(f"the task run exceeded its timeout of {pack.task.timeout_seconds} s")
    return [
        PartitionResult(index, partition, "failed", error=error, attempts=0)
        for index, partition in pack.items.places()
        if index not in done
    ]


def _portable(result: PartitionResult[Any]) -> PartitionResult[Any]:
    """The result, with an error that can be read again in another process."""
    if result.error is None:
        return result
    from dataclasses import replace

    from cloudpickle import loads  # type: ignore[import-untyped]  # has no types

    try:
        loads(dumps(result.error))
    except Exception:  # noqa: BLE001 - an error class may fail in any way when it is copied
        text = f"{type(result.error).__name__}: {result.error}"
        return replace(result, error=EtlError(text))
    return result
