"""The page that tells the matrix of types: written from what was measured, and read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix import REFUSED, Cell

PAGE = Path(__file__).parents[2] / "docs/types.md"
# Source and destination: type: cell.
Matrix = Mapping[tuple[str, str], Mapping[str, Cell]]
_NOTHING = "not measured"
_HEAD = """\
# Types

What becomes of each type of a source in each destination. This page is written by
`tests/types/generate.py`, which loads the ends of each type's range, nulls and what is easily
mangled, on real servers, and compares what is there with what was there; a test fails when the
page is not what it measures.

A cell names the type in the destination. All values are the same there: where the type is another
one, it is wider, or text that spells the value. What a destination cannot hold exactly is refused
with an error that names the column, and the numbers below a table tell it; nothing is ever changed
in silence. A refused column can be loaded as another type with `types:` or `columns: {cast: …}`, or
dropped.

A row such as `numeric NaN` is about values that fare otherwise than the rest of their type. Types
of DuckDB and of Parquet folders are spelled as DuckDB spells them. Infinite dates and timestamps
are in Parquet what DuckDB makes of them, the ends of the range; other readers see those. SQLite
stores no sign of a zero: -0 is 0 there.
"""


def written(matrix: Matrix, titles: Mapping[str, Sequence[str]]) -> str:
    """The page.

    Args:
        matrix: What was measured.
        titles: The types of each source, in order.
    """
    parts = [_HEAD]
    for source, types in titles.items():
        destinations = [other for one, other in matrix if one == source]
        if destinations:
            parts.append(_section(source, types, {d: matrix[source, d] for d in destinations}))
    return "\n".join(parts)


def _section(source: str, types: Sequence[str], columns: Mapping[str, Mapping[str, Cell]]) -> str:
    notes: dict[str, int] = {}
    lines = [f"## From {source}", "", f"| Type | {' | '.join(columns)} |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for title in types:
        cells = (_shown(cells.get(title), notes) for cells in columns.values())
        lines.append(f"| {_code(title)} | {' | '.join(cells)} |")
    lines += ["", *(f"{number}. {_escaped(reason)}" for reason, number in notes.items())]
    return "\n".join(lines).rstrip() + "\n"


def _shown(cell: Cell | None, notes: dict[str, int]) -> str:
    if cell is None:
        return _NOTHING
    if cell.says != REFUSED:
        return _code(cell.says) if cell.says else "no type"
    return f"{REFUSED} ({notes.setdefault(cell.reason, len(notes) + 1)})"


def _code(text: str) -> str:
    """The name of a type, and what is said of it."""
    return f"`{text}`".replace("|", "\\|")


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")


def cells(text: str, source: str, destination: str) -> dict[str, str]:
    """The cells of one column of the page, by type; what is refused with its reason."""
    section = text.partition(f"## From {source}\n")[2].partition("\n## ")[0].splitlines()
    rows = [line.strip("| ").split(" | ") for line in section if line.startswith("| ")]
    if not rows or destination not in rows[0]:
        return {}
    index = rows[0].index(destination)
    notes = dict(line.split(". ", 1) for line in section if line[:1].isdigit())
    found = {}
    for row in rows[1:]:
        says = row[index]
        if says.startswith(REFUSED):
            says = f"{REFUSED}: {notes[says.removeprefix(f'{REFUSED} (').rstrip(')')]}"
        found[row[0].strip("`")] = says
    return found


def as_shown(measured: Mapping[str, Cell]) -> dict[str, str]:
    """What was measured, as :func:`cells` tells it."""
    return {
        title: f"{REFUSED}: {_escaped(cell.reason)}" if cell.says == REFUSED else _shown(cell, {})
        for title, cell in measured.items()
    }
