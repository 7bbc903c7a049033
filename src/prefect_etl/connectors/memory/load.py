"""What a load does to a table, in plain Python: the model that real destinations must agree with.

The rules, in order, for each row of a merge:

1. Of several rows of a key in one load the one with the highest cursor is taken (null is lowest),
   of equal ones the last by unit and place; the others are superseded.
2. A row whose cursor is below that of the table's row, or of the key's tombstone, is superseded.
3. A row for which ``deleted_when`` is true is deleted, and so is the table's row of its key; with a
   cursor a tombstone remembers the key and the cursor.
4. A row whose key is not in the table is inserted; one that equals the table's is unchanged; any
   other one takes its place: updated.

Versions (``scd2``) follow the same rules, as :mod:`~prefect_etl.connectors.memory.versions` says.
A load that is whole takes out the keys that it does not have, and one that brings all keys those
that are in neither. An append first takes out the rows
of the window that it brings again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from prefect_etl.connectors.memory.rules import (
    Counter,
    Given,
    Incoming,
    Key,
    Row,
    bury,
    cursor_of,
    equal,
    is_late,
    key_of,
    latest_rows,
    rank,
)
from prefect_etl.connectors.memory.versions import put_versions
from prefect_etl.connectors.sql.staging import assert_names
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.sql import identifier, literal
from prefect_etl.engine.duckdb import Session
from prefect_etl.engine.loading import readable
from prefect_etl.errors import SchemaError


@dataclass(frozen=True, slots=True)
class MemoryTable:
    """A table and all that the ledger knows of it.

    Attributes:
        rows: In no order.
        tombstones: The cursor of each key that a row deleted.
        state: What the ledger tells.
        record: The load that made the current version.
        owner: Pipeline and dataset.
    """

    rows: tuple[Row, ...] = ()
    tombstones: Mapping[Key, Any] = field(default_factory=dict)
    state: LedgerState = field(default_factory=LedgerState)
    record: LoadRecord | None = None
    owner: tuple[str, str] | None = None


def given(session: Session, load: Load) -> Given:
    """Run the SQL of a load and fetch its rows."""
    names = load.evolution.schema.names
    columns = ", ".join(identifier(name) for name in names)
    deleted = f"coalesce(({load.dataset.deleted_when or 'FALSE'}), FALSE)"
    with session.cursor() as cursor, readable(cursor, load):
        fetched = cursor.execute(
            f"SELECT {UNIT_ID}, {ROW_NUMBER}, {deleted}, {columns} FROM ({load.rows})"
        ).fetchall()
        keys = cursor.execute(load.keys).fetchall() if load.keys else []
    rows = [
        Incoming(unit, place, dict(zip(names, values, strict=True)), gone)
        for unit, place, gone, *values in fetched
    ]
    there = frozenset(key_of(dict(zip(load.dataset.key, k, strict=True)), load) for k in keys)
    if load.window is None or load.dataset.cursor_column is None:
        return Given(rows, keys=there)
    kind = load.evolution.schema[load.dataset.cursor_column].type
    bounds = (literal(load.window.lower), literal(load.window.upper))
    ((lower, upper),) = session.query(f"SELECT {', '.join(f'CAST({b} AS {kind})' for b in bounds)}")
    return Given(rows, lower, upper, there)


def publish(
    before: MemoryTable, load: Load, given: Given
) -> tuple[MemoryTable, dict[int, Accounting]]:
    """The table after a load, and where each row went, by unit.

    Raises:
        AccountingError: The rows are not those that the load speaks of.
        SchemaError: A value does not survive the widening of its column, or a column has a name
            that versions need for themselves.
    """
    assert_names(load)
    if load.refresh:
        before = MemoryTable(state=replace(before.state, units={}, schema=None, cursor=None))
    counter = Counter(load, len(given.rows))
    present = _widened(before.rows, load)
    tombstones = dict(before.tombstones)
    if load.dataset.write == "merge":
        kept = _merge(present, tombstones, load, given, counter)
    elif load.dataset.write == "scd2":
        kept = put_versions(present, tombstones, load, given, counter)
    else:
        kept = _put(present, before.state, load, given, counter)
    counts = counter.checked(load.dataset.name)
    state = replace(_state_after(before.state, load), cursor=load.cursor)
    record = LoadRecord(load.version, "", load.batches, load.run_id, load.refresh, time.time_ns())
    return MemoryTable(tuple(kept), _remembered(tombstones, load, given), state, record), counts


def _remembered(tombstones: Mapping[Key, Any], load: Load, given: Given) -> dict[Key, Any]:
    """The tombstones that a late row could still come before."""
    if load.window is None or load.window.open or given.lower is None:
        return dict(tombstones)
    return {key: at for key, at in tombstones.items() if rank(at) >= rank(given.lower)}


def _put(
    present: Sequence[Row],
    state: LedgerState,
    load: Load,
    given: Given,
    counter: Counter,
) -> list[Row]:
    """Append or replace."""
    if load.dataset.write == "replace":
        kept: list[Row] = []
    else:
        positions = {unit.unit.position for unit in load.units}
        earlier = {known.unit_id for p, known in state.units.items() if p in positions}
        kept = [
            row
            for row in present
            if row.unit_id not in earlier and not _read_again(row, load, given)
        ]
    counter.add_to_first("replaced", len(present) - len(kept))
    for row in given.rows:
        counter.add(row.unit_id, "inserted")
    return [*kept, *(Row(row.unit_id, row.values) for row in given.rows)]


def _read_again(row: Row, load: Load, given: Given) -> bool:
    """Whether a row is within the window that an append reads again."""
    cursor = cursor_of(row.values, load)
    if load.window is None or given.lower is None or cursor is None:
        return False
    if load.window.open and given.upper is not None and rank(cursor) >= rank(given.upper):
        return False
    return rank(cursor) >= rank(given.lower)


def _merge(
    present: Sequence[Row],
    tombstones: dict[Key, Any],
    load: Load,
    given: Given,
    counter: Counter,
) -> list[Row]:
    table = {key_of(row.values, load): row for row in present}
    latest = latest_rows(load, given.rows, counter)
    if load.finds_missing:
        missing = [key for key in table if key not in latest and key not in given.keys]
        counter.add_to_first("missing", len(missing))
        for key in missing:
            del table[key]
    for key, row in latest.items():
        action = _action(row, table.get(key), tombstones.get(key), load)
        counter.add(row.unit_id, action)
        if action in ("superseded", "unchanged"):
            continue
        if action == "deleted":
            table.pop(key, None)
        else:
            table[key] = Row(row.unit_id, row.values)
        bury(tombstones, key, row, load)
    return list(table.values())


def _action(row: Incoming, old: Row | None, tombstone: Any, load: Load) -> str:
    """Rules 2 to 4."""
    if is_late(row, old, tombstone, load):
        return "superseded"
    if row.deleted:
        return "deleted"
    if old is None:
        return "inserted"
    return "unchanged" if equal(old.values, row.values) else "updated"


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

    names = [*load.evolution.schema.names]
    if load.dataset.write == "scd2":
        names += [VALID_FROM, VALID_TO]
    return [Row(row.unit_id, {name: value(row, name) for name in names}) for row in rows]


def _conversion(kind: str) -> Callable[[Any], Any]:
    if kind in ("FLOAT", "DOUBLE"):
        return float
    if kind.startswith("DECIMAL"):
        scale = int(kind.rstrip(")").rpartition(",")[2])
        return lambda value: Decimal(value).quantize(Decimal(1).scaleb(-scale))
    return lambda value: value


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
