"""What a walk through a file goes by, and what it meets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prefect_etl.connectors.files.csv.careful.blocks import MARKED, Encoding
from prefect_etl.connectors.files.csv.careful.grammar import Grammar
from prefect_etl.connectors.files.csv.careful.mending import Mend, Mender
from prefect_etl.connectors.files.csv.layout import Layout

# Between and around the fields of records that were read; no text of people has them.
SIGN, QUOTE = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True)
class Piece:
    """Some records, one a line.

    Attributes:
        text: Their text.
        sign: Between fields.
        quoted: Whether fields may be in :data:`QUOTE`.
        lines: The first line of each in the file.
    """

    text: str
    sign: str
    quoted: bool
    lines: Sequence[int]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is no record: where, which rule it breaks, and what stands there."""

    line: int
    byte: int
    rule: str
    reason: str
    text: str


class Manner:
    """How a file is walked through: what does not change on the way."""

    def __init__(
        self,
        layout: Layout,
        width: int,
        encoding: Encoding,
        *,
        mend: bool,
        wanted: Mapping[int, tuple[str, str]],
    ) -> None:
        self.layout, self.width, self.encoding, self.wanted = layout, width, encoding, wanted
        self.grammar = Grammar(layout)
        self.mender = Mender(self.grammar, width) if mend else None
        # A NUL is a character that nobody meant: mended where that is asked for, else kept.
        self.odd = re.compile("[\0\udc00-\udcff]") if mend else MARKED
        own = layout.delimiter
        self.sign = own if len(own) == 1 and own.isascii() else SIGN
        self.special = re.compile(f"[{QUOTE}\r\n]")

    def is_exotic(self, text: str) -> bool:
        """Whether a text has signs that stand for something else in a piece."""
        return QUOTE in text or (self.sign != self.layout.delimiter and self.sign in text)


@dataclass(slots=True)
class Stand:
    """How far a file was walked through, and what was met.

    Attributes:
        byte: The place of the text that comes, from 0.
        header: Records that name columns and are still to come.
        line: The line of the text that comes, from 1.
        faults: What is no record.
        taken: Records that were wanted.
        mends: Repairs: how often, and the line of the first.
        names: The line that names the columns, where it is one that no row looks like.
    """

    byte: int
    header: int
    line: int = 1
    faults: list[Fault] = field(default_factory=list)
    taken: list[Fault] = field(default_factory=list)
    mends: dict[Mend, tuple[int, int]] = field(default_factory=dict)
    names: str = ""

    def note(self, mend: Mend, line: int) -> None:
        """Count a repair."""
        often, first = self.mends.get(mend, (0, line))
        self.mends[mend] = (often + 1, first)
