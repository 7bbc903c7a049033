"""What all data that is cut to partitions can do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Protocol

from prefect_etl.orchestration.partitions.travel import Compact

Item = tuple[int, Any, Any]
"""A partition at work: its index, what it is (for people), its value."""


class Source(Protocol):
    """Data whose partitions are known by number before they are read.

    Attributes:
        by_value: Another process is sent the partitions' values, not the source.
    """

    by_value: bool

    def __len__(self) -> int:
        """How many partitions."""

    def describe(self, index: int) -> Any:
        """What a partition is, for people: rows, a key, a file; None if nothing is to be said."""

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """The values of partitions, one after the other."""

    def identity(self) -> str:
        """Changes when the content changes that :meth:`key` does not tell."""

    def key(self, index: int) -> str:
        """A partition's name in the record."""


class Unread:
    """In the place of a partition's value: the error of reading it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Chosen:
    """Partitions of a source, by number; read when they are worked on."""

    def __init__(self, source: Source, indices: Sequence[int]) -> None:
        self.source, self.indices = source, indices

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def ends(self) -> tuple[int, int]:
        """The numbers of the first and the last."""
        return self.indices[0], self.indices[-1]

    def __iter__(self) -> Iterator[Item]:
        done = 0
        while done < len(self.indices):
            try:
                for value in self.source.read(self.indices[done:]):
                    index = self.indices[done]
                    done += 1
                    yield index, self.source.describe(index), value
            except Exception as error:  # noqa: BLE001 - whatever reading raises is the partition's
                index = self.indices[done]
                done += 1
                yield index, self.source.describe(index), Unread(error)

    def places(self) -> Iterator[tuple[int, Any]]:
        """Which partitions they are; nothing is read."""
        return ((index, self.source.describe(index)) for index in self.indices)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.source.by_value:
            return _held, (Compact(list(self)),)
        return Chosen, (self.source, self.indices)


class Held:
    """Partitions that are in memory."""

    def __init__(self, items: list[Item]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ends(self) -> tuple[int, int]:
        """The numbers of the first and the last."""
        return self.items[0][0], self.items[-1][0]

    def __iter__(self) -> Iterator[Item]:
        yield from self.items

    def places(self) -> Iterator[tuple[int, Any]]:
        """Which partitions they are."""
        return ((index, partition) for index, partition, _ in self.items)

    def __reduce__(self) -> tuple[Any, ...]:
        return _held, (Compact(self.items),)


Items = Chosen | Held


def _held(items: Compact) -> Held:
    return Held(items.value)


def name_of(value: Any) -> Any:
    """What an element of an iterable is, for people: a path or text is its own name."""
    from os import PathLike

    return value if isinstance(value, str | int | PathLike) else None


def counted(keys: Iterable[str]) -> Iterator[str]:
    """Keys, of which equal ones get a number: two equal elements are two partitions.

    Example:
        >>> list(counted(["a", "b", "a"]))
        ['a', 'b', 'a#1']
    """
    seen: dict[str, int] = {}
    for key in keys:
        number = seen.get(key, 0)
        seen[key] = number + 1
        yield f"{key}#{number}" if number else key
