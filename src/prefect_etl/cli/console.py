"""Where commands print, and how values become JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def out() -> Console:
    """Standard output: results, and nothing else."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)


def make_table(*titles: str, numbers: Iterable[str] = ()) -> Table:
    """A plain table that never cuts what it holds.

    Args:
        titles: Of its columns.
        numbers: Those that are aligned to the right.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    right = frozenset(numbers)
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    return table


def print_json(value: Any) -> None:
    """One JSON value on standard output, for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=_plain) + "\n")


def print_lines(*lines: str) -> None:
    """Lines on standard output, as they are: paths stay whole, whatever the width."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    return str(value)


def shown_path(path: Path) -> str:
    """A path as short as it stays right: relative to the current folder where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
