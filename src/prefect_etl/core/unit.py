"""Units, the smallest pieces that are extracted and recorded, and batches of them.

A unit is known by its *position* (a path, the lower bound of a window) and its *version* (a digest,
or the ledger version that it extends). The same position and version is never loaded twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of a dataset as its source sees it now.

    Attributes:
        position: Where it is: a path under the source's root, or a window's lower bound.
        version: What it holds: a content digest, or the ledger version that it extends.
        size: Bytes at the source, where the source knows.
        modified_ns: Time of last modification at the source, nanoseconds since the epoch.
        transient: A window or a call: it is never seen again, so the ledger, which counts its rows,
            does not remember its position.
        first_row: Rows before it in its file; not 0 for a part of a large file only.
    """

    position: str
    version: str
    size: int | None = None
    modified_ns: int | None = None
    transient: bool = False
    first_row: int = 0

    @property
    def identity(self) -> tuple[str, str]:
        """What decides whether two units are the same."""
        return self.position, self.version


@dataclass(frozen=True, slots=True)
class Batch:
    """Units that are read by one call and written as one Parquet file.

    Attributes:
        units: In the order of their positions; at least one.
        reading: How to read them (dialect, types): JSON values that only the connector
            understands. Units of equal content read in another way are read again.
    """

    units: tuple[Unit, ...]
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes at the source; 0 where unknown."""
        return sum(unit.size or 0 for unit in self.units)


# Positions of rows that come from quarantine; no source has such a position.
_REPLAY = "quarantine//"


def replay_position(name: str, source: str = "") -> str:
    """The position of rows that come from a file of quarantine.

    Args:
        name: The file's name.
        source: The position of the unit that they were in; the file as a whole if empty.

    Example:
        >>> replay_position("00000002-r1", "a.csv")
        'quarantine//00000002-r1//a.csv'
    """
    return f"{_REPLAY}{name}//{source}" if source else f"{_REPLAY}{name}"


def is_replay(position: str) -> bool:
    """Whether a position is that of rows from quarantine."""
    return position.startswith(_REPLAY)


def replayed_from(position: str) -> str | None:
    """The position of the unit that rows from quarantine were in; None of all other positions.

    Example:
        >>> replayed_from("quarantine//00000002-r1//a.csv"), replayed_from("a.csv")
        ('a.csv', None)
    """
    if not is_replay(position):
        return None
    return position.removeprefix(_REPLAY).partition("//")[2] or None
