"""Cursors: the column by which rows are known to be new, and windows of its values.

A window of a run is ``lower <= cursor <= upper``. It begins at the highest value that was loaded,
less the lag, and is closed there: rows that share that value may have come later. What the table
already has from the window is read again, and is not doubled: a merge finds it by its key, an
append takes the rows of the window out first. Bounds are text, as the source spells them; text
itself is compared byte by byte everywhere, because collations differ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DURATION = re.compile(rf"(\d+)\s*({'|'.join(_UNITS)})s?", re.IGNORECASE)


def duration(text: str) -> timedelta:
    """A length of time as people write it.

    Raises:
        ValueError: It is not written so.

    Example:
        >>> duration("90 minutes")
        datetime.timedelta(seconds=5400)
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration such as 1 hour, 30 minutes or 2 days")
    return int(match[1]) * _UNITS[match[2].lower()]


def _lag(value: str | int) -> str | int:
    if isinstance(value, int):
        if value < 0:
            raise ValueError("must not be negative")
        return value
    duration(value)
    return value


class Cursor(BaseModel):
    """The column that grows, and how late a row may come.

    Example:
        >>> Cursor(column="updated_at", lag="1 hour").late
        datetime.timedelta(seconds=3600)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str = Field(min_length=1, description="The column, after rename.")
    lag: Annotated[str | int, AfterValidator(_lag)] | None = Field(
        None,
        description="How late rows may come: 1 hour, or a number where the cursor is a number.",
    )

    @property
    def late(self) -> timedelta | int | None:
        """The lag as a value; None where rows are never late."""
        return duration(self.lag) if isinstance(self.lag, str) else self.lag


def _named(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


CursorField = Annotated[Cursor, BeforeValidator(_named, json_schema_input_type=str | Cursor)]


@dataclass(frozen=True, slots=True)
class Window:
    """Rows of a source between two values of its cursor.

    Attributes:
        lower: The first value, itself within; None at the beginning of all.
        upper: The last value, itself within; rows that come later wait for the next window.
        nulls: Whether rows without a cursor are within: those of the first load only.
        open: Whether ``upper`` itself is outside, as with a backfill of days.

    Example:
        >>> str(Window("2026-01-01", "2026-02-01", open=True))
        '2026-01-01 to 2026-02-01'
    """

    lower: str | None
    upper: str | None
    nulls: bool = False
    open: bool = False

    def __str__(self) -> str:
        return f"{self.lower or 'the beginning'} to {self.upper or 'the end'}"
