"""Which partitions are done already, and how the others line up as packs."""

from __future__ import annotations

import sys
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from prefect_etl.core.frames import bytes_of_frame, frame_kind, is_lazy
from prefect_etl.core.partition import MIB, next_pack, packs
from prefect_etl.orchestration.partitions.record import Record
from prefect_etl.orchestration.partitions.results import PartitionResult
from prefect_etl.orchestration.partitions.sequences import content_key
from prefect_etl.orchestration.partitions.source import Chosen, Held, Item, Items, Source, name_of
from prefect_etl.orchestration.partitions.sources import Stream

_BYTES = 32 * MIB
_SECONDS = 0.2
_SAMPLE, _DEPTH = 8, 4

Lined = tuple[Items, list[str] | None]
Results = dict[int, PartitionResult[Any]]


def line_up(
    source: Source, record: Record | None, widths: Sequence[int], results: Results
) -> Iterator[Lined]:
    """The packs of a source whose length is known: a bounded number, whatever the length.

    Args:
        source: The data.
        record: Of earlier calls; what is in it goes to the results.
        widths: How many partitions are worked on at a time, of each lane.
        results: Gets what is done already.
    """
    waiting: Sequence[int] = range(len(source))
    if record is not None and len(record):
        waiting = array("q")
        for index in range(len(source)):
            partition = source.describe(index)
            found = record.find(source.key(index), index, partition)
            if found is None:
                waiting.append(index)
            else:
                results[index] = found
    return _packed(source, waiting, widths, recorded=record is not None)


def _packed(
    source: Source, waiting: Sequence[int], widths: Sequence[int], *, recorded: bool
) -> Iterator[Lined]:
    for part in packs(len(waiting), widths):
        indices = waiting[part.start : part.stop]
        keys = [source.key(index) for index in indices] if recorded else None
        yield Chosen(source, indices), keys


def pull(
    stream: Stream,
    record: Record | None,
    widths: Sequence[int],
    results: Results,
    pace: Callable[[], float | None],
) -> Iterator[Lined]:
    """The packs of a stream, pulled when they are asked for.

    By estimate no pack holds more than 32 MiB unless one partition does, and none is waited for
    longer than a fifth of a second after its first one.

    Args:
        stream: The data.
        record: Of earlier calls; what is in it goes to the results.
        widths: How many partitions are worked on at a time, of each lane.
        results: Gets what is done already.
        pace: Seconds that a partition takes.
    """
    numbers, names = count(), _Names()
    for number in count():
        items: list[Item] = []
        keys: list[str] | None = None if record is None else []
        most, held, began = next_pack(number, widths, pace()), 0, time.monotonic()
        for value in stream.values:
            index, partition = next(numbers), name_of(value)
            if record is not None and keys is not None:
                key = names.of(value)
                if found := record.find(key, index, partition):
                    results[index] = found
                    continue
                keys.append(key)
            items.append((index, partition, value))
            held += about_bytes(value)
            if len(items) >= most or held >= _BYTES or time.monotonic() - began > _SECONDS:
                break
        if not items:
            return
        yield Held(items), keys


class _Names:
    """Keys of elements; equal ones get a number."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def of(self, value: Any) -> str:
        key = content_key(value)
        number = self._seen.get(key, 0)
        self._seen[key] = number + 1
        return f"{key}#{number}" if number else key


def about_bytes(value: Any, depth: int = _DEPTH) -> int:
    """About how much memory a value takes, from a sample of its parts.

    Example:
        >>> about_bytes(b"x" * 1000) // 1000, about_bytes([b"x" * 1000] * 1000) // 1000_000
        (1, 1)
    """
    if frame_kind(value) is not None:
        return 0 if is_lazy(value) else bytes_of_frame(value) or 0
    own = sys.getsizeof(value, 1_000)
    if depth and isinstance(value, list | tuple | set | frozenset | dict) and value:
        parts = list(value.values()) if isinstance(value, dict) else list(value)
        sample = parts[:: max(1, len(parts) // _SAMPLE)][:_SAMPLE]
        inside = sum(about_bytes(part, depth - 1) for part in sample)
        return own + inside * len(parts) // len(sample)
    if depth and hasattr(value, "__dict__"):
        return own + about_bytes(vars(value), depth - 1)
    return own
