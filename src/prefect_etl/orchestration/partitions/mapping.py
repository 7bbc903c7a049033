"""``map_partitions``: one task, much data, few task runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Coroutine
from typing import Any, TypeVar, Unpack, overload

from prefect import Task

from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.partitions.drive import Drive
from prefect_etl.orchestration.partitions.options import MapOptions, checked
from prefect_etl.orchestration.partitions.results import PartitionResult, PartitionResults
from prefect_etl.orchestration.serving import served
from prefect_etl.utils.resources.interrupts import settled

R = TypeVar("R")


@overload
def map_partitions(
    task: Task[..., Coroutine[Any, Any, R]], data: Any, **options: Unpack[MapOptions]
) -> PartitionResults[R]: ...


@overload
def map_partitions(
    task: Task[..., R], data: Any, **options: Unpack[MapOptions]
) -> PartitionResults[R]: ...


def map_partitions(
    task: Task[..., Any], data: Any, **options: Unpack[MapOptions]
) -> PartitionResults[Any]:
    """Call a task for each partition of some data, in few task runs.

    In async code, write ``await map_partitions(...)``: the event loop goes on meanwhile.

    Args:
        task: A task, plain or async, whose first argument is a partition. Its retries are each
            partition's; its cache, timeout and tags are the packed runs'.
        data: A frame of pandas, Polars (also lazy), Arrow, NumPy or any that narwhals knows; a
            Parquet file (partitions are row ranges, as Arrow tables); a folder or glob of files
            (each is a partition, as its path); or any iterable (each element is a partition).
        options: How to cut; one of the first four. Nothing said cuts frames and Parquet files to
            four partitions for each that is worked on at once, of 1 to 128 MiB.

            - ``partition_size``: rows of a partition; of an iterable, elements of a list.
            - ``partition_bytes``: bytes of a partition, about.
            - ``partitions``: how many, of nearly equal size.
            - ``by``: a column, or several: one partition for each value.
            - ``max_concurrency``: partitions that are worked on at once; cores + 4, at most 32.
            - ``min_success_ratio``: the share that must succeed, 0 to 1; all of them.
            - ``record``: a name (or a folder's ``Path``) under which values are kept, so that the
              next call with that name runs only what is missing or failed. Without one, retries of
              a flow run, and runs again of a deployment's, have it. False: never.
            - ``arguments``: a mapping of the task's other arguments; futures are resolved.

    Returns:
        A result for each partition, in their order.

    Raises:
        PartitionsFailedError: Fewer succeeded than ``min_success_ratio`` asks for.
        ConfigError: The options contradict each other, or the data cannot be cut so.
        BusyError: Another call uses the record.

    Example:
        >>> from prefect_etl import flow, task
        >>> @task(retries=2)
        ... def count(part) -> int:
        ...     return len(part)
        >>> @flow
        ... def count_all(frame) -> int:
        ...     return sum(map_partitions(count, frame, partition_size=1000).values())
    """
    found = checked(options)
    _check_task(task, found.arguments)
    drive = Drive(task, data, found)
    if not _in_event_loop():
        return served(drive.run)  # type: ignore[no-any-return]
    return PartitionResults(coming=served(lambda: _later(drive), defer=True))


def _check_task(task: Any, arguments: Any) -> None:
    if not isinstance(task, Task):
        raise ConfigError(
            f"map_partitions takes a task first, not a {type(task).__name__}",
            hint="Put @task above the function: map_partitions(task, data).",
        )
    if task.isgenerator:
        raise ConfigError(
            f"the task {task.name} is a generator, and a partition has one value",
            hint="Return a list.",
        )
    try:
        inspect.signature(task.fn).bind(None, **arguments)
    except TypeError as error:
        raise ConfigError(
            f"the task {task.name} cannot be called with a partition and "
            f"{', '.join(arguments) or 'no arguments'}: {error}",
            hint="The partition comes first, what arguments= names after it.",
        ) from None


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _later(drive: Drive) -> list[PartitionResult[Any]]:
    # The work waits for other threads; here the loop would stand still meanwhile.
    running = asyncio.ensure_future(asyncio.to_thread(drive.run))
    try:
        return list(await asyncio.shield(running))
    except asyncio.CancelledError:
        drive.halt()
        # What partitions use may be closed next: those at work come to their ends first.
        await settled([running])
        running.exception()  # that it was stopped is known
        raise
