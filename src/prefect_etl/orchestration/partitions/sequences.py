"""Iterables as a source: each element is a partition, or each few of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

from prefect_etl.core.partition import Cut, rows_in
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.partitions.files import version_of
from prefect_etl.orchestration.partitions.source import counted, name_of


class SequenceSource:
    """Elements of a sequence, or lists of them."""

    by_value = True

    def __init__(self, values: Sequence[Any], cut: Cut | None = None) -> None:
        self._values, self._cut = values, cut
        self._keys: list[str] | None = None

    def __len__(self) -> int:
        return len(self._values) if self._cut is None else len(self._cut)

    def describe(self, index: int) -> Any:
        """A path or text is its own name; for lists, which elements they are."""
        if self._cut is None:
            return name_of(self._values[index])
        rows = self._cut[index]
        return f"elements {rows.start} to {rows.stop - 1}"

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """The elements."""
        for index in indices:
            yield self._value(index)

    def identity(self) -> str:
        """Nothing: each element has its own key, so others may come and go."""
        return "elements"

    def key(self, index: int) -> str:
        """The key of the element's content."""
        if self._keys is None:
            self._keys = list(counted(content_key(self._value(i)) for i in range(len(self))))
        return self._keys[index]

    def _value(self, index: int) -> Any:
        if self._cut is None:
            return self._values[index]
        rows = self._cut[index]
        return list(self._values[rows.start : rows.stop])


def content_key(value: Any) -> str:
    """The name in the record of an element: its content; of a file's path the file's version.

    Raises:
        ConfigError: The element has no exact form.
    """
    from prefect_etl.core.fingerprint import fingerprint

    if isinstance(value, PathLike) and Path(value).is_file():
        return version_of(Path(value))
    return fingerprint(value)


def batched(values: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of so many elements; the last may be shorter.

    Example:
        >>> list(batched(range(5), 2))
        [[0, 1], [2, 3], [4]]
    """
    left = iter(values)
    while part := list(islice(left, size)):
        yield part


def arrow_tables(reader: Any, size: int | None, nbytes: int) -> Iterator[Any]:
    """Tables of so many rows from a stream of record batches, read as they are asked for."""
    import pyarrow as pa

    def join(parts: list[Any]) -> Any:
        return pa.Table.from_batches(parts, reader.schema)

    batches = (batch for batch in reader if batch.num_rows)
    return _cut_again(batches, size, nbytes, lambda batch: int(batch.nbytes), join)


def polars_frames(frame: Any, size: int | None, nbytes: int) -> Iterator[Any]:
    """Frames of so many rows from a lazy one, computed as they are asked for."""
    import polars as pl

    def join(parts: list[Any]) -> Any:
        return parts[0] if len(parts) == 1 else pl.concat(parts, rechunk=False)

    # Older Polars has no streams of batches: there the whole is computed.
    batches = frame.collect_batches() if hasattr(frame, "collect_batches") else [frame.collect()]
    kept = (batch for batch in batches if len(batch))
    return _cut_again(kept, size, nbytes, lambda batch: int(batch.estimated_size()), join)


def _cut_again(
    batches: Iterator[Any], size: int | None, nbytes: int, bytes_of: Any, join: Any
) -> Iterator[Any]:
    held: deque[Any] = deque()
    rows = 0
    for batch in batches:
        if size is None:
            size = rows_in(nbytes, len(batch), bytes_of(batch))
        held.append(batch)
        rows += len(batch)
        while rows >= size:
            yield join(_taken(held, size))
            rows -= size
    if rows and size:
        yield join(_taken(held, rows))


def _taken(held: deque[Any], rows: int) -> list[Any]:
    """So many rows from the front; none is copied."""
    parts = []
    while rows:
        first = held.popleft()
        if len(first) > rows:
            held.appendleft(first.slice(rows))
            first = first.slice(0, rows)
        parts.append(first)
        rows -= len(first)
    return parts


def refuse_what_is_no_iterable(data: Any) -> None:
    """Refuse what Python would iterate, but nobody means so.

    Raises:
        ConfigError: It is such a thing, or no iterable at all.
    """
    if isinstance(data, dict):
        raise ConfigError(
            "a dict cannot be cut to partitions", hint="Give its .items() or .values()."
        )
    if isinstance(data, bytes | bytearray):
        raise ConfigError("bytes cannot be cut to partitions", hint="Put them in a list.")
    if hasattr(data, "__aiter__"):
        raise ConfigError(
            "an async iterable cannot be cut to partitions",
            hint="Collect it first: [item async for item in ...].",
        )
    if not isinstance(data, Iterable):
        raise ConfigError(
            f"a {type(data).__name__} cannot be cut to partitions",
            hint="Give a frame, a path, a glob of files, or an iterable.",
        )
