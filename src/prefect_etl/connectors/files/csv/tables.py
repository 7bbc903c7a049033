"""Where the table of a file begins and ends, among titles, blank lines and other tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from prefect_etl.connectors.files.csv.sample import Record
from prefect_etl.connectors.files.csv.values import plain_type

# Lines before a table are left out unasked only where it is beyond doubt that they are a title.
_TITLE_LINES = 30
_PROOF = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its first and last line, how many fields and rows it has."""

    first: int
    last: int
    width: int
    rows: int


def tables(records: Sequence[Record]) -> list[Table]:
    """The tables of a file: what blank lines part, and has a width or a header of its own.

    Example:
        >>> lines = [["a", "b"], ["1", "2"], [], ["x", "y", "z"], ["1", "2", "3"]]
        >>> records = [Record(n, line, blank=not line) for n, line in enumerate(lines, 1)]
        >>> [(table.first, table.last, table.width) for table in tables(records)]
        [(1, 3, 2), (4, 5, 3)]
    """
    parts: list[list[Record]] = [[]]
    for record in records:
        if record.blank:
            parts.append([])
        else:
            parts[-1].append(record)
    found: list[Table] = []
    first: Sequence[str] = ()
    for part in filter(None, parts):
        widths = Counter(len(record.fields) for record in part if not record.broken)
        width, rows = widths.most_common(1)[0] if widths else (0, 0)
        if width < 2 or (found and width == found[-1].width and not _is_another(part, first)):
            continue
        if rows < 2 or 2 * rows < len(part):
            continue
        first = first or part[0].fields
        found.append(Table(part[0].line, part[-1].line, width, rows))
    ends = [*[table.first - 1 for table in found[1:]], records[-1].line if records else 0]
    return [
        Table(table.first, end, table.width, table.rows)
        for table, end in zip(found, ends[-len(found) :], strict=False)
    ]


def _is_another(part: Sequence[Record], header: Sequence[str]) -> bool:
    """Whether lines begin with names of columns that have numbers or dates below them."""
    names, rows = part[0].fields, [record.fields for record in part[1:] if not record.broken]
    rows = [row for row in rows if len(row) == len(names)]
    if names == header or len(set(names)) < len(names) or not all(names):
        return False
    if any(map(str.isdigit, "".join(names))):
        return False
    columns = zip(*rows, strict=True)
    return any(plain_type([cell for cell in cells if cell]) != "VARCHAR" for cells in columns)


def title_lines(records: Sequence[Record], width: int) -> tuple[int, bool]:
    """How many lines stand before the first record of a table, and whether they are no records.

    Example:
        >>> lines = [["Report"], [], *[["1", "2", "3"]] * 5]
        >>> title_lines([Record(n, line, blank=not line) for n, line in enumerate(lines, 1)], 3)
        (2, True)
    """
    before: list[Record] = []
    for record in records:
        if not record.blank and not record.broken and len(record.fields) == width:
            break
        before.append(record)
    else:
        return 0, False
    rest = [record for record in records[len(before) :] if not record.blank]
    bare = all(record.blank or len(record.fields) == 1 for record in before)
    alike = sum(len(record.fields) == width for record in rest)
    proven = all(record.blank for record in before) or (
        width > 2 and alike >= _PROOF and alike >= 0.8 * len(rest)
    )
    return len(before), bare and proven and len(before) <= _TITLE_LINES
