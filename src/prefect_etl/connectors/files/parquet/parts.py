"""Parts of a large Parquet file: ranges of its row groups, each a unit of its own.

The parts of a file have its version, so they are new, changed and loaded together. The first one
has the file's path as its position, the others ``path//2`` and so on: a file that grows over the
limit, or shrinks below it, keeps positions that the ledger knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count, takewhile
from typing import Any

from prefect_etl.connectors.files.config import Format
from prefect_etl.connectors.files.foreign import FILES, ask
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.positions import part_position
from prefect_etl.core.ledger import KnownUnit
from prefect_etl.core.unit import Unit

# Compressed bytes of a part; a file of up to twice as many is one unit.
PART_BYTES = 128 << 20
# DuckDB's name for the number of a row in its file.
ROW = "file_row_number"


def with_parts(
    place: Place,
    unit: Unit,
    known: Mapping[str, KnownUnit],
    kind: Format | None,
) -> list[Unit]:
    """The units of a file: itself, or the parts of a large Parquet file.

    Parts that the ledger knows and that the file no longer has are there as well: they are empty.
    """
    further = (part_position(unit.position, number) for number in count(2))
    before = 1 + sum(1 for _ in takewhile(known.__contains__, further))
    same = unit.position in known and known[unit.position].unit.version == unit.version
    now = 1 if same else max(1, len(row_ranges(place, unit, kind)))
    return [unit] + [
        Unit(part_position(unit.position, n), unit.version, modified_ns=unit.modified_ns)
        for n in range(2, max(before, now) + 1)
    ]


def row_ranges(place: Place, unit: Unit, kind: Format | None) -> list[tuple[int, int]]:
    """First row and end of each part of a large file; none if it stays whole."""
    if kind != "parquet" or (unit.size or 0) <= 2 * PART_BYTES:
        return []
    groups = ask(
        place,
        [unit],
        "SELECT any_value(row_group_num_rows), sum(total_compressed_size) "
        f"FROM parquet_metadata({FILES}) GROUP BY row_group_id ORDER BY row_group_id",
    )
    return _packed(groups)


def _packed(groups: Sequence[tuple[Any, ...]]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    start = end = size = 0
    for rows, added in groups:
        if end > start and size + added > PART_BYTES:
            ranges.append((start, end))
            start, size = end, 0
        end += rows
        size += added
    return [*ranges, (start, end)]


def fitted(ranges: Sequence[tuple[int, int]], parts: int) -> list[tuple[int, int]]:
    """As many ranges as there are parts: the last one has the rest, or some are empty.

    Example:
        >>> fitted([(0, 5), (5, 9), (9, 12)], 2), fitted([(0, 5)], 2)
        ([(0, 5), (5, 12)], [(0, 5), (5, 5)])
    """
    end = ranges[-1][1]
    if parts <= len(ranges):
        return [*ranges[: parts - 1], (ranges[parts - 1][0], end)]
    return [*ranges, *[(end, end)] * (parts - len(ranges))]
