"""What a source could not read as rows, and what it mended on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# The columns of a file of rejects, with DuckDB's types: the index of the unit in its batch; line
# and byte in the source file, from 1 and from 0, null where unknown; the rule that was broken, by
# name and in words; the text as it stands there, bytes that are no text as \xNN.
REJECT_COLUMNS: Mapping[str, str] = {
    "unit": "INTEGER",
    "line": "BIGINT",
    "byte": "BIGINT",
    "rule": "VARCHAR",
    "reason": "VARCHAR",
    "text": "VARCHAR",
}


@dataclass(frozen=True, slots=True)
class Repair:
    """One kind of repair in one file.

    Attributes:
        kind: Its name: ``csv.quote``.
        said: In words, without values.
        count: How often.
        position: The file.
        line: Of the first one, from 1; None where it concerns the file as a whole.

    Example:
        >>> print(Repair("csv.ragged", "missing fields at the end are null", 3, "a.csv", 7))
        a.csv: missing fields at the end are null (3 times, first in line 7)
        >>> print(Repair("csv.guess", "its encoding seems to be cp1252", 1, "a.csv"))
        a.csv: its encoding seems to be cp1252
    """

    kind: str
    said: str
    count: int
    position: str
    line: int | None = None

    @property
    def verb(self) -> str:
        """What was done: ``repaired``, or ``guessed``."""
        return "guessed" if self.kind.endswith(".guess") else "repaired"

    def __str__(self) -> str:
        """In one line."""
        if self.verb == "guessed":
            return f"{self.position}: {self.said}"
        times = "once" if self.count == 1 else f"{self.count} times"
        first = "" if self.line is None else f", {'first ' * (self.count > 1)}in line {self.line}"
        return f"{self.position}: {self.said} ({times}{first})"


@dataclass(frozen=True, slots=True)
class Aside:
    """What reading a batch left beside its rows.

    Attributes:
        rejects: A Parquet file with :data:`REJECT_COLUMNS`, in the order of the source; None where
            everything was read. It lives as long as the read.
        counts: Unit's index in the batch: how many records of it are among the rejects.
        repairs: One a kind and file.
    """

    rejects: Path | None = None
    counts: Mapping[int, int] = field(default_factory=dict)
    repairs: Sequence[Repair] = ()
