"""The first records of a file in a layout, for those who find out how it is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from prefect_etl.connectors.files.csv.careful.blocks import BOM
from prefect_etl.connectors.files.csv.careful.grammar import Grammar
from prefect_etl.connectors.files.csv.layout import Layout

# What is looked at is bounded, so that looking takes no time to speak of.
SAMPLE = 64 << 10
_RECORDS = 2000


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its first line, from 1, its fields, and whether it is broken or blank."""

    line: int
    fields: Sequence[str]
    broken: bool = False
    blank: bool = False


@dataclass(frozen=True)
class Sample:
    r"""The records of a text.

    Example:
        >>> sample = Sample(Layout(), Sample.records_of("a,b\n\n1,2\n", Layout()))
        >>> [(record.line, record.fields) for record in sample.records if not record.blank]
        [(1, ['a', 'b']), (3, ['1', '2'])]
        >>> sample.width, sample.share
        (2, 1.0)
    """

    layout: Layout
    records: Sequence[Record]

    @classmethod
    def of(cls, text: str, layout: Layout, most: int = _RECORDS) -> Sample:
        """The records of a text that are within the layout's lines."""
        return cls(layout, cls.records_of(text, layout, most))

    @staticmethod
    def records_of(text: str, layout: Layout, most: int = _RECORDS) -> list[Record]:
        """All records of a text, up to so many."""
        grammar, at, line = Grammar(layout), 0, 1
        found: list[Record] = []
        while at < len(text) and len(found) < most:
            end = _line_end(text, at)
            record, lines = text[at:end], 1
            if layout.last is not None and line > layout.last:
                break
            commented = layout.comment and record.startswith(layout.comment)
            if line >= layout.first and not commented:
                if record.strip(" \t\r\n") or layout.delimiter in record:
                    token = grammar.record(text, at + record.startswith(BOM))
                    if not token.fault:
                        lines, end = _lines(text[at : token.end]), token.end
                    found.append(Record(line, token.fields, broken=token.fault is not None))
                else:
                    found.append(Record(line, (), blank=True))
            at, line = end, line + lines
        return found

    def without_repeats(self) -> Sample:
        """The same without records that are the first one again, its header as a rule."""
        first = self.whole[0] if self.whole and self.width > 1 else None
        kept = [r for r in self.records if r is first or first is None or r.fields != first.fields]
        return Sample(self.layout, kept)

    def padded(self) -> Sample:
        """The same with a header as wide as the rows, where each of these ends with a delimiter."""
        at = next((n for n, record in enumerate(self.records) if not record.blank), 0)
        short = bool(self.records) and len(self.records[at].fields) == self.width - 1
        if not short or len(self.rows) < 2 or any(row.fields[-1] for row in self.rows):
            return self
        header = replace(self.records[at], fields=[*self.records[at].fields, ""])
        return Sample(self.layout, [*self.records[:at], header, *self.records[at + 1 :]])

    @cached_property
    def whole(self) -> list[Record]:
        """Those that are neither blank nor broken."""
        return [record for record in self.records if not (record.blank or record.broken)]

    @cached_property
    def width(self) -> int:
        """How many fields most records have."""
        widths = Counter(len(record.fields) for record in self.whole)
        return max(widths, key=lambda w: (widths[w], w)) if widths else 0

    @cached_property
    def share(self) -> float:
        """How many of the records have so many."""
        there = sum(not record.blank for record in self.records)
        return len(self.rows) / there if there else 0.0

    @cached_property
    def rows(self) -> list[Record]:
        """Records with so many fields as most."""
        return [record for record in self.whole if len(record.fields) == self.width]


def _line_end(text: str, at: int) -> int:
    feed, back = text.find("\n", at), text.find("\r", at)
    if back >= 0 and (feed < 0 or back < feed - 1):
        return back + 1
    return feed + 1 if feed >= 0 else len(text)


def _lines(text: str) -> int:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    return plain.count("\n") + (not plain.endswith("\n"))
