"""How data is cut to partitions, and how partitions are packed to task runs.

Only decisions: no data moves here, and nothing grows with the number of partitions but what has
an irregular shape.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MIB = 1 << 20
MIN_BYTES, MAX_BYTES = MIB, 128 * MIB
STREAM_BYTES = 32 * MIB
_PACKS_PER_LANE, _MOST_PACKS = 4, 64
_PACK_SECONDS, _MOST_IN_PACK = 1.0, 1_000


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows ``start`` to ``stop - 1``, from 0.

    Example:
        >>> str(RowRange(1000, 2000)), RowRange(1000, 2000).rows
        ('rows 1000 to 1999', 1000)
    """

    start: int
    stop: int

    @property
    def rows(self) -> int:
        """How many."""
        return self.stop - self.start

    def __str__(self) -> str:
        return f"rows {self.start} to {self.stop - 1}"


class Cut(Sequence[RowRange]):
    """Row ranges that follow each other, computed when they are asked for."""

    def _edges(self, index: int) -> tuple[int, int]:
        raise NotImplementedError

    @overload
    def __getitem__(self, index: int) -> RowRange: ...

    @overload
    def __getitem__(self, index: slice) -> list[RowRange]: ...

    def __getitem__(self, index: int | slice) -> RowRange | list[RowRange]:
        """A range, or the ranges of a slice."""
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no partition {index} of {len(self)}")
        return RowRange(*self._edges(index % len(self)))


@dataclass(frozen=True, slots=True)
class CutBySize(Cut):
    """As many rows each; the last may be shorter.

    Example:
        >>> [str(part) for part in CutBySize(rows=5, size=2)]
        ['rows 0 to 1', 'rows 2 to 3', 'rows 4 to 4']
    """

    rows: int
    size: int

    def __len__(self) -> int:
        return (self.rows + self.size - 1) // self.size

    def _edges(self, index: int) -> tuple[int, int]:
        start = index * self.size
        return start, min(start + self.size, self.rows)


@dataclass(frozen=True, slots=True)
class CutEvenly(Cut):
    """So many parts, whose sizes differ by one row at most; never an empty one.

    Example:
        >>> [part.rows for part in CutEvenly(rows=8, parts=3)], len(CutEvenly(rows=2, parts=3))
        ([2, 3, 3], 2)
    """

    rows: int
    parts: int

    def __len__(self) -> int:
        return min(self.parts, self.rows)

    def _edges(self, index: int) -> tuple[int, int]:
        parts = len(self)
        return index * self.rows // parts, (index + 1) * self.rows // parts


@dataclass(frozen=True, slots=True)
class CutAt(Cut):
    """At given rows: ``offsets`` begins with the first row and ends after the last.

    Example:
        >>> [part.rows for part in CutAt((0, 3, 4))]
        [3, 1]
    """

    offsets: Sequence[int]

    def __len__(self) -> int:
        return max(len(self.offsets) - 1, 0)

    def _edges(self, index: int) -> tuple[int, int]:
        return int(self.offsets[index]), int(self.offsets[index + 1])


def target_bytes(total: int, concurrency: int) -> int:
    """The size of a partition where nothing is said: four for each that runs at once, clamped.

    Example:
        >>> target_bytes(10 << 30, 4) >> 20, target_bytes(1000, 4) >> 20
        (128, 1)
    """
    wanted = total // (_PACKS_PER_LANE * concurrency)
    return min(max(wanted, MIN_BYTES), MAX_BYTES)


def rows_in(target: int, rows: int, nbytes: int) -> int:
    """How many rows of a frame have about so many bytes; at least one.

    Example:
        >>> rows_in(target=1000, rows=50, nbytes=5000)
        10
    """
    return max(1, target * rows // max(nbytes, 1))


def join_blocks(rows: Sequence[int], nbytes: Sequence[int], target: int) -> CutAt:
    """Cut between blocks (row groups of a file), as many to a partition as the target holds.

    Example:
        >>> [part.rows for part in join_blocks([5, 5, 5, 5], [40, 40, 90, 10], target=100)]
        [10, 10]
    """
    offsets, row, held = [0], 0, 0
    for block_rows, block_bytes in zip(rows, nbytes, strict=True):
        if row > offsets[-1] and held + block_bytes > target:
            offsets.append(row)
            held = 0
        row, held = row + block_rows, held + block_bytes
    return CutAt((*offsets, row) if row > offsets[-1] else tuple(offsets))


def blocks_of(rows: RowRange, ends: Sequence[int]) -> range:
    """Which blocks hold the rows, where block ``i`` ends before row ``ends[i]``.

    Example:
        >>> blocks_of(RowRange(3, 8), ends=[5, 10, 15])
        range(0, 2)
    """
    first = bisect_left(ends, rows.start + 1)
    return range(first, bisect_left(ends, rows.stop) + 1)


def ends_of(sizes: Sequence[int]) -> list[int]:
    """Where each of the blocks ends.

    Example:
        >>> ends_of([5, 5, 5])
        [5, 10, 15]
    """
    return list(accumulate(sizes))


@dataclass(frozen=True, slots=True)
class Grouped:
    """Rows that belong together.

    Attributes:
        order: The rows, group after group, in their order within each; None if they lie so already.
        cut: Where each group begins and ends in that order.
        first: A row of each group, before they are put in order.
    """

    order: npt.NDArray[np.intp] | None
    cut: CutAt
    first: npt.NDArray[np.intp]


def group_rows(codes: npt.NDArray[Any]) -> Grouped:
    """Group rows by their code, groups in the order of their first row.

    Args:
        codes: Of each row; the first row's is 0, each new one is one higher than all before.

    Example:
        >>> import numpy as np
        >>> found = group_rows(np.array([0, 1, 0, 2, 1]))
        >>> found.order.tolist(), [part.rows for part in found.cut], found.first.tolist()
        ([0, 2, 1, 4, 3], [2, 2, 1], [0, 1, 3])
    """
    import numpy as np

    counts = np.bincount(codes)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.intp)
    cut = CutAt(offsets.tolist())
    if (codes[1:] >= codes[:-1]).all():
        return Grouped(None, cut, offsets[:-1])
    order = np.argsort(codes, kind="stable")
    return Grouped(order, cut, order[offsets[:-1]])


def lanes(concurrency: int, *, isasync: bool, cores: int) -> tuple[int, ...]:
    """How many packed runs go on at once, and how many partitions at a time in each.

    A packed run of a plain function works on one partition at a time, one of a coroutine on many.

    Example:
        >>> lanes(3, isasync=False, cores=2), lanes(5, isasync=True, cores=2)
        ((1, 1, 1), (2, 3))
    """
    if not isasync:
        return (1,) * concurrency
    return tuple(part.rows for part in CutEvenly(concurrency, cores))


def packs(partitions: int, widths: Sequence[int]) -> CutEvenly:
    """Which partitions go to which packed run: a few runs for each lane, so that none waits long.

    Args:
        partitions: How many there are.
        widths: How many are worked on at a time, of each lane.

    Example:
        >>> [len(packs(count, (1,) * 6)) for count in (3, 10_000)], len(packs(10**6, (1,) * 99))
        ([3, 24], 99)
        >>> [len(packs(count, (50, 50))) for count in (10, 10_000)]
        [2, 8]
    """
    lane_count, width = len(widths), max(widths)
    wanted = max(lane_count, min(_PACKS_PER_LANE * lane_count, _MOST_PACKS))
    if width > 1:  # a run that works on many at a time is idle at its end
        wanted = min(wanted, max(lane_count, partitions // (_PACKS_PER_LANE * width)))
    return CutEvenly(partitions, wanted)


def next_pack(number: int, widths: Sequence[int], seconds: float | None) -> int:
    """How many partitions of a stream go to its next packed run.

    They grow, so that a long stream needs few runs, while a run takes about a second.

    Args:
        number: Of the packed run, from 0.
        widths: How many are worked on at a time, of each lane.
        seconds: What a partition took up to now; None if none is done.

    Example:
        >>> [next_pack(number, (1, 1), 0.001) for number in (0, 1, 2, 4, 100)]
        [1, 1, 2, 4, 1000]
        >>> next_pack(100, (1, 1), 0.5), next_pack(0, (50, 50), None)
        (2, 50)
    """
    width = max(widths)
    wanted = width << min(number // len(widths), 10)
    if seconds is not None:
        wanted = min(wanted, int(width * _PACK_SECONDS / max(seconds, 1e-6)))
    return max(width, min(wanted, _MOST_IN_PACK))
