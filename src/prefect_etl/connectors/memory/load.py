"""What a load does to a table, in plain Python: the model that real destinations must agree with.

The rules, in order, for each row of a merge:

1. Of several rows of a key in one load the one with the highest cursor is taken (null is lowest),
   of equal ones the last by unit and place; the others are superseded.
2. A row whose cursor is below that of the table's row, or of the key's tombstone, is superseded.
3. A row for which ``deleted_when`` is true is deleted, and so is the table's row of its key; with a
   cursor a tombstone remembers the key and the cursor.
4. A row whose key is not in the table is inserted; one that equals the table's is unchanged; any
   other one takes its place: updated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load, LoadUnit
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.sql import identifier
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import AccountingError, SchemaError

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
    cursor_text: str | None


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """A table and all that the ledger knows of it.

    Attributes:
        rows: In no order.
        tombstones: The cursor of each key that a row deleted.
        state: What the ledger tells.
        cursor: The highest cursor that was loaded, as a value.
        record: The load that made the current version.
        owner: Pipeline and dataset.
    """

    rows: tuple[Row, ...] = ()
    tombstones: Mapping[Key, Any] = field(default_factory=dict)
    state: LedgerState = field(default_factory=LedgerState)
    cursor: Any = None
    record: LoadRecord | None = None
    owner: tuple[str, str] | None = None


def incoming_rows(session: Session, load: Load) -> list[Incoming]:
    """Run the SQL of a load and fetch its rows."""
    columns = ", ".join(identifier(name) for name in load.evolution.schema.names)
    deleted = load.dataset.deleted_when or "FALSE"
    cursor = identifier(load.dataset.cursor_column) if load.dataset.cursor_column else "NULL"
    fetched = session.query(
        f"SELECT {UNIT_ID}, {ROW_NUMBER}, coalesce(({deleted}), FALSE), "
        f"CAST({cursor} AS VARCHAR), {columns} FROM ({load.rows})"
    )
    names = load.evolution.schema.names
    return [
        Incoming(unit, place, dict(zip(names, values, strict=True)), gone, text)
        for unit, place, gone, text, *values in fetched
    ]


def publish(
    before: MemoryTable, load: Load, rows: Sequence[Incoming]
) -> tuple[MemoryTable, dict[int, Accounting]]:
    """The table after a load, and where each row went, by unit.

    Raises:
        AccountingError: The rows are not those that the load speaks of.
        SchemaError: A value does not survive the widening of its column.
    """
    if load.refresh:
        before = MemoryTable(state=replace(before.state, units={}, schema=None, cursor=None))
    counter = _Counter(load.units)
    present = _widened(before.rows, load)
    if load.dataset.write == "merge":
        kept, tombstones = _merge(present, before.tombstones, load, rows, counter)
    else:
        tombstones = dict(before.tombstones)
        kept = _put(present, before.state, load, rows, counter)
    counts = counter.checked(load.dataset.name)
    highest, text = _highest(before, load, rows)
    state = replace(_state_after(before.state, load), cursor=text)
    record = LoadRecord(load.version, "", load.batches, load.run_id, load.refresh, time.time_ns())
    return MemoryTable(tuple(kept), tombstones, state, highest, record), counts


class _Counter:
    """Counts what becomes of rows, by unit."""

    def __init__(self, units: Sequence[LoadUnit]) -> None:
        self.counts = {unit.unit_id: unit.counts for unit in units}

    def add(self, unit_id: int, action: str, rows: int = 1) -> None:
        if unit_id not in self.counts:
            raise AccountingError(f"a row is of unit {unit_id}, which is not in the load")
        counts = self.counts[unit_id]
        self.counts[unit_id] = replace(counts, **{action: getattr(counts, action) + rows})

    def checked(self, dataset: str) -> dict[int, Accounting]:
        for unit_id, counts in self.counts.items():
            if not counts.balanced:
                raise AccountingError(f"{dataset}: unit {unit_id} does not add up: {counts}")
        return self.counts


def _put(
    present: Sequence[Row],
    state: LedgerState,
    load: Load,
    rows: Sequence[Incoming],
    counter: _Counter,
) -> list[Row]:
    """Append or replace."""
    if load.dataset.write == "replace":
        kept: list[Row] = []
    else:
        positions = {unit.unit.position for unit in load.units}
        earlier = {known.unit_id for p, known in state.units.items() if p in positions}
        kept = [row for row in present if row.unit_id not in earlier]
    removed = len(present) - len(kept)
    if removed and load.units:
        counter.add(load.units[0].unit_id, "replaced", removed)
    for row in rows:
        counter.add(row.unit_id, "inserted")
    return [*kept, *(Row(row.unit_id, row.values) for row in rows)]


def _merge(
    present: Sequence[Row],
    buried: Mapping[Key, Any],
    load: Load,
    rows: Sequence[Incoming],
    counter: _Counter,
) -> tuple[list[Row], dict[Key, Any]]:
    table = {_key(row.values, load.dataset.key): row for row in present}
    tombstones = dict(buried)
    for key, row in _latest(load, rows, counter).items():
        action = _action(row, table.get(key), tombstones.get(key), load)
        counter.add(row.unit_id, action)
        if action in ("superseded", "unchanged"):
            continue
        tombstones.pop(key, None)
        if action != "deleted":
            table[key] = Row(row.unit_id, row.values)
            continue
        table.pop(key, None)
        cursor = _cursor(row.values, load)
        if cursor is not None:
            tombstones[key] = cursor
    return list(table.values()), tombstones


def _latest(load: Load, rows: Sequence[Incoming], counter: _Counter) -> dict[Key, Incoming]:
    """Rule 1."""

    def rank(row: Incoming) -> tuple[Any, ...]:
        return (_rank(_cursor(row.values, load)), row.unit_id, row.place)

    latest: dict[Key, Incoming] = {}
    for row in sorted(rows, key=rank):
        key = _key(row.values, load.dataset.key)
        if key in latest:
            counter.add(latest[key].unit_id, "superseded")
        latest[key] = row
    return latest


def _action(row: Incoming, old: Row | None, tombstone: Any, load: Load) -> str:
    """Rules 2 to 4."""
    cursor = _rank(_cursor(row.values, load))
    before = _rank(tombstone) if old is None else _rank(_cursor(old.values, load))
    if cursor < before:
        return "superseded"
    if row.deleted:
        return "deleted"
    if old is None:
        return "inserted"
    return "unchanged" if _equal(old.values, row.values) else "updated"


def _cursor(values: Values, load: Load) -> Any:
    return values[_name(values, load.dataset.cursor_column)] if load.dataset.cursor_column else None


def _name(values: Values, wanted: str) -> str:
    return next(name for name in values if name.lower() == wanted.lower())


def _key(values: Values, names: Sequence[str]) -> Key:
    return tuple(_comparable(values[_name(values, name)]) for name in names)


def _rank(value: Any) -> tuple[Any, ...]:
    """Orders cursors: null is lowest, and a number that is none (NaN) highest."""
    if value is None:
        return (0,)
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    return (1, value)


def _comparable(value: Any) -> Any:
    """A value that equals another one just where SQL's IS NOT DISTINCT FROM says so."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN of SQL, which equals itself"
    if isinstance(value, list | tuple):
        return tuple(_comparable(part) for part in value)
    if isinstance(value, dict):
        return tuple((name, _comparable(part)) for name, part in value.items())
    return value


def _equal(one: Values, other: Values) -> bool:
    return all(_comparable(one[name]) == _comparable(other[name]) for name in other)


def _widened(rows: Sequence[Row], load: Load) -> list[Row]:
    """The table's rows in its new schema."""
    changes = {name: _conversion(new) for name, _, new in load.evolution.widened}

    def value(row: Row, name: str) -> Any:
        found = row.values.get(name)
        if found is None or name not in changes:
            return found
        wide = changes[name](found)
        if wide != found and not (isinstance(found, float) and math.isnan(found)):
            raise SchemaError(f"{load.dataset.name}: {name} would change from {found} to {wide}")
        return wide

    names = load.evolution.schema.names
    return [Row(row.unit_id, {name: value(row, name) for name in names}) for row in rows]


def _conversion(kind: str) -> Callable[[Any], Any]:
    if kind in ("FLOAT", "DOUBLE"):
        return float
    if kind.startswith("DECIMAL"):
        scale = int(kind.rstrip(")").rpartition(",")[2])
        return lambda value: Decimal(value).quantize(Decimal(1).scaleb(-scale))
    return lambda value: value


def _highest(before: MemoryTable, load: Load, rows: Sequence[Incoming]) -> tuple[Any, str | None]:
    """The highest cursor ever loaded, of rows that lost or were deleted too; value and text."""
    if load.dataset.cursor_column is None:
        return None, None
    found = [(before.cursor, before.state.cursor)]
    found += [(_cursor(row.values, load), row.cursor_text) for row in rows]
    return max(found, key=lambda pair: _rank(pair[0]))


def _state_after(state: LedgerState, load: Load) -> LedgerState:
    units = {} if load.dataset.write == "replace" else dict(state.units)
    for unit in load.units:
        if not unit.unit.transient:
            units[unit.unit.position] = KnownUnit(unit.unit_id, unit.unit, unit.seen_ns)
    return LedgerState(
        version=load.version,
        units=units,
        next_unit_id=max([state.next_unit_id, *(unit.unit_id + 1 for unit in load.units)]),
        schema=load.evolution.schema,
        fingerprint=load.dataset.fingerprint,
    )
