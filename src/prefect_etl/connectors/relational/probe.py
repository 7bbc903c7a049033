"""What planning asks a system: the questions, and which columns can be a cursor."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, Protocol

from prefect_etl.connectors.relational.dataset import DatabaseDataset
from prefect_etl.errors import ConfigError, SourceReadError

CursorKind = Literal["timestamp", "date", "integer", "decimal", "text"]


@dataclass(frozen=True, slots=True)
class Ranges:
    """How the rows of a table are divided.

    Attributes:
        key: The column, as the source calls it.
        bounds: The values between the ranges, ascending.
        snapshot: Names the moment that all have to be read of; None where any will do.
    """

    key: str
    bounds: tuple[str, ...]
    snapshot: str | None = None


class Probe(Protocol):
    """What planning asks a system about one dataset. Bounds are text in the source's spelling."""

    @property
    def cursor(self) -> CursorKind:
        """What kind of values the cursor's column has.

        Raises:
            SourceReadError: There is no such column, or it is of no kind that can be a cursor.
        """
        ...

    def highest(self) -> str | None:
        """The highest cursor there is now; None where there is none."""
        ...

    def is_higher(self, one: str, other: str) -> bool:
        """Whether the first bound is above the other."""
        ...

    def earlier(self, bound: str, lag: timedelta | int) -> str:
        """A bound, less a lag."""
        ...

    def count(self, lower: str, upper: str) -> int:
        """How many rows have a cursor between two bounds, both within."""
        ...

    def ranges(self, chunk_rows: int) -> Ranges | None:
        """Divide the whole into ranges of about so many rows; None where it is one piece."""
        ...


def cursor_kind(dataset: DatabaseDataset, found: CursorKind | None, type_name: str) -> CursorKind:
    """Make sure that a column can be the cursor, and that its lag is of its kind.

    Args:
        dataset: Whose cursor it is.
        found: The kind of the column's type; None where it is none of them.
        type_name: The source's name of that type.

    Raises:
        SourceReadError: The column cannot be a cursor.
        ConfigError: The lag does not fit.
    """
    cursor = dataset.cursor
    if found is None or cursor is None:
        raise SourceReadError(
            f"{dataset.name}: cursor: column {dataset.cursor_column} is {type_name}, "
            "which cannot be a cursor",
            hint="A cursor is a timestamp, a date, a whole number, a decimal or text.",
        )
    fits = {
        "timestamp": isinstance(cursor.late, timedelta),
        "date": isinstance(cursor.late, timedelta),
        "integer": isinstance(cursor.late, int),
        "decimal": isinstance(cursor.late, int),
        "text": False,
    }
    if cursor.lag is not None and not fits[found]:
        wanted = {"timestamp": "a duration", "date": "a duration", "text": "none: text has no lag"}
        raise ConfigError(
            f"{dataset.name}: lag: {cursor.lag} does not fit column {cursor.column}, "
            f"which is {type_name}",
            hint=f"It takes {wanted.get(found, 'a number')}.",
        )
    return found
