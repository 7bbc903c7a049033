"""Names of columns, from the lines that give them."""

from __future__ import annotations

from collections.abc import Sequence

_MARK = "\ufeff"


def unique_names(cells: Sequence[str]) -> tuple[str, ...]:
    """Names that differ, case aside; an empty one is named after its place.

    Example:
        >>> unique_names(["a", "A", "", "a_2"])
        ('a', 'A_2', 'column_3', 'a_2_2')
    """
    found: list[str] = []
    seen: set[str] = set()
    for place, cell in enumerate(cells, 1):
        name = cell.strip(_MARK).strip().replace("\0", "") or f"column_{place}"
        unique, again = name, 1
        while unique.casefold() in seen:
            again += 1
            unique = f"{name}_{again}"
        seen.add(unique.casefold())
        found.append(unique)
    return tuple(found)


def joined_names(lines: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Names from several lines; an empty cell of an upper one goes on with what is left of it.

    Example:
        >>> joined_names([["", "2024", ""], ["id", "net", "gross"]])
        ('id', '2024_net', '2024_gross')
    """
    *upper, last = lines
    width = max(map(len, lines))
    rows = [_carried([*line, *[""] * (width - len(line))]) for line in upper]
    rows.append([cell.strip() for cell in (*last, *[""] * (width - len(last)))])
    return unique_names(["_".join(filter(None, cells)) for cells in zip(*rows, strict=True)])


def _carried(cells: Sequence[str]) -> list[str]:
    kept: list[str] = []
    for cell in map(str.strip, cells):
        kept.append(cell or (kept[-1] if kept else ""))
    return kept


def odd_names(cells: Sequence[str]) -> list[str]:
    """What a user should know of names that were not taken as they stand.

    Example:
        >>> odd_names(["a", "a", ""])
        ['a column without a name is column_3', 'the second column a is a_2']
    """
    names = unique_names(cells)
    pairs = [(cell.strip(), name) for cell, name in zip(cells, names, strict=True)]
    empty = [f"a column without a name is {name}" for cell, name in pairs if not cell]
    again = [
        f"the second column {cell} is {name}" for cell, name in pairs if cell not in ("", name)
    ]
    return [*empty, *again]


def numbered_names(width: int) -> tuple[str, ...]:
    """Names of columns that have none, as the engine gives them."""
    digits = len(str(width - 1))
    return tuple(f"column{n:0{digits}d}" for n in range(width))
