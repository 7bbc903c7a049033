"""Rows of a load and of a table, and the rules by which one takes another's place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.errors import AccountingError

Values = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table, and the unit that wrote it."""

    unit_id: int
    values: Values


@dataclass(frozen=True, slots=True)
class Incoming:
    """A row of a load."""

    unit_id: int
    place: int
    values: Values
    deleted: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What a load brings: its rows, the window that they are of, and the keys that are there."""

    rows: Sequence[Incoming]
    lower: Any = None
    upper: Any = None
    keys: frozenset[Key] = frozenset()


class Counter:
    """Counts what becomes of rows, by unit."""

    def __init__(self, load: Load, written: int) -> None:
        self.counts = load.counts(written)
        self._units = load.units

    def add(self, unit_id: int, action: str, rows: int = 1) -> None:
        """Count rows of a unit.

        Raises:
            AccountingError: The load has no such unit.
        """
        if unit_id not in self.counts:
            raise AccountingError(f"a row is of unit {unit_id}, which is not in the load")
        counts = self.counts[unit_id]
        self.counts[unit_id] = replace(counts, **{action: getattr(counts, action) + rows})

    def add_to_first(self, action: str, rows: int) -> None:
        """Count rows of the table, which are of no unit of the load."""
        if rows and self._units:
            self.add(self._units[0].unit_id, action, rows)

    def checked(self, dataset: str) -> dict[int, Accounting]:
        """The counts, by unit.

        Raises:
            AccountingError: They are not those of the rows that were read.
        """
        for unit_id, counts in self.counts.items():
            if not counts.balanced or counts.filtered < 0:
                raise AccountingError(f"{dataset}: unit {unit_id} does not add up: {counts}")
        return self.counts


def latest_rows(load: Load, rows: Sequence[Incoming], counter: Counter) -> dict[Key, Incoming]:
    """Rule 1."""

    def place(row: Incoming) -> tuple[Any, ...]:
        return (rank(cursor_of(row.values, load)), row.unit_id, row.place)

    latest: dict[Key, Incoming] = {}
    for row in sorted(rows, key=place):
        key = key_of(row.values, load)
        if key in latest:
            counter.add(latest[key].unit_id, "superseded")
        latest[key] = row
    return latest


def is_late(row: Incoming, old: Row | None, tombstone: Any, load: Load) -> bool:
    """Rule 2."""
    if load.older and load.dataset.cursor_column is None:
        return old is not None
    before = tombstone if old is None else cursor_of(old.values, load)
    mine, theirs = rank(cursor_of(row.values, load)), rank(before)
    ties = load.older and (old is not None or tombstone is not None)
    return mine < theirs or (ties and mine == theirs)


def cursor_of(values: Values, load: Load) -> Any:
    """A row's cursor; None where the dataset has none."""
    return values[_name(values, load.dataset.cursor_column)] if load.dataset.cursor_column else None


def _name(values: Values, wanted: str) -> str:
    return next(name for name in values if name.lower() == wanted.lower())


def key_of(values: Values, load: Load) -> Key:
    """A row's key, to be compared."""
    return tuple(comparable(values[_name(values, name)]) for name in load.dataset.key)


def rank(value: Any) -> tuple[Any, ...]:
    """Orders cursors: null is lowest, and a number that is none (NaN) highest."""
    if value is None:
        return (0,)
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    return (1, value)


def comparable(value: Any) -> Any:
    """A value that equals another one just where SQL's IS NOT DISTINCT FROM says so."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN of SQL, which equals itself"
    if isinstance(value, list | tuple):
        return tuple(comparable(part) for part in value)
    if isinstance(value, dict):
        return tuple((name, comparable(part)) for name, part in value.items())
    return value


def equal(one: Values, other: Values) -> bool:
    """Whether all values of the other row are those of the one."""
    return all(comparable(one[name]) == comparable(other[name]) for name in other)


def bury(tombstones: dict[Key, Any], key: Key, row: Incoming, load: Load) -> None:
    """Remember a deletion where an older row of its key may come; forget an earlier one."""
    tombstones.pop(key, None)
    cursor = cursor_of(row.values, load)
    if row.deleted and cursor is not None:
        tombstones[key] = cursor
