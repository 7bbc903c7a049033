"""How a CSV file is written, all of it: what detection finds and the careful reader follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Layout:
    r"""The spelling of a file and the place of its table.

    Lines are counted from 1 over the decoded text; LF, CR and CRLF end one, mixed as they come.

    Attributes:
        names: The columns' names, all different; empty where they are not known yet.
        encoding: As Python names it.
        delimiter: Between fields; one character or several.
        quote: Around fields; empty for none.
        escape: Before a quote within quotes; the quote itself where it is doubled.
        comment: Lines that begin with it are left out; empty for none.
        first: The first line of the table, its header where it has one.
        header: How many lines name the columns; 0 for none.
        last: The last line of the table; None for the file's.
        decimal: The decimal sign.
        thousands: The sign between thousands; empty for none.
        dates: Formats of dates and times by column, as strptime's.
        stray: Whether quotes stand within quotes as they are: only one before a field's
            end closes, and none spans lines.
    """

    names: tuple[str, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    comment: str = ""
    first: int = 1
    header: int = 1
    last: int | None = None
    decimal: str = "."
    thousands: str = ""
    dates: Mapping[str, tuple[str, ...]] | None = None
    stray: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        dates = {name: list(formats) for name, formats in (self.dates or {}).items()}
        return asdict(self) | {"names": list(self.names), "dates": dates}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From JSON values."""
        dates = {name: tuple(formats) for name, formats in data["dates"].items()}
        return cls(**{**data, "names": tuple(data["names"]), "dates": dates or None})
