"""Works through a map: packs go to the task runner, results come back."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from prefect import Task
from prefect.context import FlowRunContext, TaskRunContext
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from prefect_etl.core.partition import lanes
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.partitions.envelope import envelope
from prefect_etl.orchestration.partitions.lineup import Lined, Results, line_up, pull
from prefect_etl.orchestration.partitions.options import Options, cores
from prefect_etl.orchestration.partitions.packs import Link, Outcome, Pack, PackError
from prefect_etl.orchestration.partitions.places import record_for
from prefect_etl.orchestration.partitions.progress import Progress
from prefect_etl.orchestration.partitions.results import PartitionResult, PartitionResults, failure
from prefect_etl.orchestration.partitions.source import Items
from prefect_etl.orchestration.partitions.sources import Stream, source_of
from prefect_etl.orchestration.references import as_it_is

logger = logging.getLogger(__name__)
_PATIENCE = 10.0


class HaltedError(RuntimeError):
    """The map was stopped from outside."""


@dataclass(frozen=True, slots=True)
class Flight:
    """A pack that is being worked on."""

    lane: int
    items: Items
    keys: list[str] | None


class Drive:
    """One call of ``map_partitions``.

    Args:
        task: The user's task.
        data: What is cut.
        options: How.
    """

    def __init__(self, task: Task[..., Any], data: Any, options: Options) -> None:
        self._task, self._data, self._options = task, data, options
        self._link = Link()
        self._landing: queue.SimpleQueue[PrefectFuture[Any] | None] = queue.SimpleQueue()
        self._flying: dict[PrefectFuture[Any], Flight] = {}
        self._results: Results = {}

    def run(self) -> PartitionResults[Any]:
        """Work until all partitions are done.

        Raises:
            PartitionsFailedError: Fewer succeeded than asked for.
            HaltedError: It was stopped.
        """
        with ExitStack() as stack:
            packs, total, widths = self._packs(stack)
            stack.enter_context(shared_client())
            runner = stack.enter_context(_runner())
            progress = Progress(self._task.name, total, len(self._results))
            try:
                self._fly(packs, widths, runner, progress)
            except BaseException:  # also Ctrl-C, SIGTERM and cancellation
                self._land()
                raise
            failed = sum(not result.ok for result in self._results.values())
            done = sum(not result.reused for result in self._results.values())
            progress.say(done, failed, last=True)
        return self._checked()

    def halt(self) -> None:
        """Begin no more partitions; from any thread."""
        self._link.stop.set()
        self._landing.put(None)

    def _packs(self, stack: ExitStack) -> tuple[Iterator[Lined], int | None, tuple[int, ...]]:
        data = self._data.result() if isinstance(self._data, PrefectFuture) else self._data
        self._data = None  # a frame that is put in order is not needed twice
        source = source_of(data, self._options)
        record = record_for(self._task, source, self._options)
        if record is not None:
            stack.callback(record.close)
            self._link.record = record
        widths = lanes(self._options.concurrency, isasync=self._task.isasync, cores=cores())
        if isinstance(source, Stream):
            return pull(source, record, widths, self._results, self._link.pace), None, widths
        return line_up(source, record, widths, self._results), len(source), widths

    def _fly(
        self,
        packs: Iterator[Lined],
        widths: tuple[int, ...],
        runner: TaskRunner[Any],
        progress: Progress,
    ) -> None:
        task, free, coming = envelope(self._task), [*range(len(widths))], True
        while coming or self._flying:
            while free and coming and not self._link.stop.is_set():
                lined = next(packs, None)
                coming = lined is not None
                if lined is not None:
                    lane = free.pop()
                    pack = Pack(self._task, *lined, widths[lane], self._link)
                    self._launch(runner, task, pack, Flight(lane, *lined))
            if self._link.stop.is_set():
                raise self._link.broken or HaltedError("the partitions were stopped")
            free += self._landed(progress.due if self._flying else 0)
            progress.say(self._link.finished, self._link.failed)

    def _launch(
        self, runner: TaskRunner[Any], task: Task[..., Any], pack: Pack, flight: Flight
    ) -> None:
        arguments = dict(self._options.arguments)
        future = runner.submit(task, {"pack": as_it_is(pack), "arguments": arguments})
        self._flying[future] = flight
        future.add_done_callback(self._landing.put)

    def _landed(self, seconds: float) -> list[int]:
        """The lanes that became free, if one does within the time."""
        try:
            future = self._landing.get(timeout=seconds)
        except queue.Empty:
            return []
        if future is None:
            return []
        flight = self._flying.pop(future)
        self._collect(future, flight)
        return [flight.lane]

    def _collect(self, future: PrefectFuture[Any], flight: Flight) -> None:
        found = _outcome_of(future)
        if isinstance(found, Outcome):
            results, noted = found.results, found.noted
            if future.state.name == "Cached":  # of an earlier run, whose numbers were others
                results, noted = _renumbered(results, flight), False
        else:
            results, noted = _lost(found, flight), False
        if not noted:
            names = dict(
                zip((i for i, _ in flight.items.places()), flight.keys or (), strict=False)
            )
            for result in results:
                self._link.note(result, names.get(result.index))
        self._results.update((result.index, result) for result in results)

    def _land(self) -> None:
        """Begin no more, and let what is being worked on come to its end."""
        self._link.stop.set()
        until = time.monotonic() + _PATIENCE
        for future, flight in self._flying.items():
            try:
                future.wait(max(until - time.monotonic(), 0.0))
                if future.state.is_final():
                    self._collect(future, flight)
            except Exception:  # the first error is on its way already
                logger.debug("a packed run did not end well", exc_info=True)

    def _checked(self) -> PartitionResults[Any]:
        results = PartitionResults(self._results[index] for index in sorted(self._results))
        failed = sum(not result.ok for result in results)
        if failed and (len(results) - failed) / len(results) < self._options.ratio:
            raise failure(results, failed)
        return results


@contextmanager
def _runner() -> Iterator[TaskRunner[Any]]:
    context = FlowRunContext.get()
    if context is not None and not _waits_within(context.task_runner):
        yield context.task_runner
        return
    alone: TaskRunner[Any] = ThreadPoolTaskRunner()
    with alone:
        yield alone


def _waits_within(runner: TaskRunner[Any]) -> bool:
    """Whether the caller is a task: it may have the last thread, for which its packs would wait."""
    return TaskRunContext.get() is not None and isinstance(runner, ThreadPoolTaskRunner)


def _outcome_of(future: PrefectFuture[Any]) -> Outcome | Exception:
    """What a packed run found, or why it found nothing."""
    try:
        found = future.result(raise_on_failure=False)
    except Exception as error:  # noqa: BLE001 - a crashed run raises whatever ended it
        found = error
    if isinstance(found, PackError):
        return found.outcome
    if isinstance(found, Outcome | Exception):
        return found
    return RuntimeError(f"the packed run ended as {future.state.name}")


def _renumbered(results: list[PartitionResult[Any]], flight: Flight) -> list[PartitionResult[Any]]:
    return [
        replace(result, index=index, partition=partition, reused=True)
        for result, (index, partition) in zip(results, flight.items.places(), strict=True)
    ]


def _lost(error: Exception, flight: Flight) -> list[PartitionResult[Any]]:
    return [
        PartitionResult(index, partition, "failed", error=error, attempts=0)
        for index, partition in flight.items.places()
    ]
