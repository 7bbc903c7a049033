"""The ledger in a SQLite file: tables beside the data, written in the data's transaction.

They are DuckDB's, column by column, but for their names: a SQLite file has no schemas.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

PREFIX = "_prefect_etl_"
TOMBSTONES = f"{PREFIX}tombstones"
_COUNTS = [f.name for f in fields(Accounting)]
_COUNT_COLUMNS = ", ".join(f"rows_{name} BIGINT NOT NULL" for name in _COUNTS)
_THIS = "table_schema = ? AND table_name = ?"

_TABLES = (
    f"""CREATE TABLE IF NOT EXISTS {PREFIX}tables (
    table_schema TEXT NOT NULL, table_name TEXT NOT NULL,
    pipeline TEXT NOT NULL, dataset TEXT NOT NULL,
    version BIGINT NOT NULL, lineage TEXT NOT NULL, next_unit_id BIGINT NOT NULL,
    columns JSON_TEXT NOT NULL, cursor_value TEXT, fingerprint TEXT NOT NULL,
    refresh BOOLEAN NOT NULL DEFAULT FALSE,
    updated_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    PRIMARY KEY (table_schema, table_name)
)""",
    f"""CREATE TABLE IF NOT EXISTS {PREFIX}units (
    table_schema TEXT NOT NULL, table_name TEXT NOT NULL, unit_id BIGINT NOT NULL,
    position TEXT NOT NULL, unit_version TEXT NOT NULL, size BIGINT, modified_ns BIGINT,
    seen_ns BIGINT NOT NULL, batch_id TEXT NOT NULL, load_version BIGINT NOT NULL,
    {_COUNT_COLUMNS},
    PRIMARY KEY (table_schema, table_name, position)
)""",
    f"""CREATE TABLE IF NOT EXISTS {PREFIX}loads (
    table_schema TEXT NOT NULL, table_name TEXT NOT NULL, version BIGINT NOT NULL,
    lineage TEXT NOT NULL, run_id TEXT NOT NULL, refresh BOOLEAN NOT NULL,
    batches JSON_TEXT NOT NULL, units BIGINT NOT NULL, committed_ns BIGINT NOT NULL,
    {_COUNT_COLUMNS}
)""",
    f"""CREATE INDEX IF NOT EXISTS {PREFIX}loads_of_table
    ON {PREFIX}loads (table_schema, table_name, version)""",
    f"""CREATE TABLE IF NOT EXISTS {TOMBSTONES} (
    table_schema TEXT NOT NULL, table_name TEXT NOT NULL, key TEXT NOT NULL, cursor_value TEXT
)""",
    f"""CREATE INDEX IF NOT EXISTS {TOMBSTONES}_of_key
    ON {TOMBSTONES} (table_schema, table_name, key)""",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load's rows, by unit id, and the lineage after it."""

    lineage: str
    counts: Mapping[int, Accounting]


def create_ledger(connection: sqlite3.Connection) -> None:
    """Make the ledger's tables where they are missing, in the open transaction."""
    for sql in _TABLES:
        connection.execute(sql)


def exists(connection: sqlite3.Connection) -> bool:
    """Whether the file has a ledger."""
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TOMBSTONES,))
    return found.fetchone() is not None


def owner(connection: sqlite3.Connection, table: tuple[str, str]) -> tuple[str, str] | None:
    """The pipeline and dataset that a table belongs to."""
    found: tuple[str, str] | None = connection.execute(
        f"SELECT pipeline, dataset FROM {PREFIX}tables WHERE {_THIS}", table
    ).fetchone()
    return found


def read_state(connection: sqlite3.Connection, table: tuple[str, str]) -> LedgerState:
    """What the ledger knows of a table."""
    row = connection.execute(
        "SELECT version, lineage, next_unit_id, columns, cursor_value, fingerprint, refresh "
        f"FROM {PREFIX}tables WHERE {_THIS}",
        table,
    ).fetchone()
    if row is None:
        return LedgerState()
    units = connection.execute(
        "SELECT unit_id, position, unit_version, size, modified_ns, seen_ns "
        f"FROM {PREFIX}units WHERE {_THIS}",
        table,
    ).fetchall()
    version, lineage, next_unit_id, columns, cursor_value, fingerprint, refresh = row
    return LedgerState(
        version=version,
        lineage=lineage,
        units={u[1]: KnownUnit(u[0], Unit(u[1], u[2], u[3], u[4]), u[5]) for u in units},
        next_unit_id=next_unit_id,
        schema=TableSchema.from_pairs((name, kind) for name, kind in json.loads(columns)),
        cursor=cursor_value,
        fingerprint=fingerprint,
        refresh=bool(refresh),
    )


def read_last_load(connection: sqlite3.Connection, table: tuple[str, str]) -> LoadRecord | None:
    """The record of the load that made the current version."""
    row = connection.execute(
        "SELECT version, lineage, batches, run_id, refresh, committed_ns "
        f"FROM {PREFIX}loads WHERE {_THIS} ORDER BY version DESC LIMIT 1",
        table,
    ).fetchone()
    if row is None:
        return None
    version, lineage, batches, run_id, refresh, committed_ns = row
    batch_ids = tuple(json.loads(batches))
    return LoadRecord(version, lineage, batch_ids, run_id, bool(refresh), committed_ns)


def record_load(
    connection: sqlite3.Connection, table: tuple[str, str], load: Load, outcome: Outcome
) -> None:
    """Write a load to the ledger, in the transaction of its rows."""
    _record_units(connection, table, load, outcome.counts)
    sums = total(list(outcome.counts.values()))
    values = [*table, load.version, outcome.lineage, load.run_id, load.refresh]
    values += [json.dumps(load.batches), len(load.units), time.time_ns()]
    values += [getattr(sums, name) for name in _COUNTS]
    connection.execute(f"INSERT INTO {PREFIX}loads VALUES ({_places(values)})", values)
    row = {
        "table_schema": table[0],
        "table_name": table[1],
        "pipeline": load.pipeline,
        "dataset": load.dataset.name,
        "version": load.version,
        "lineage": outcome.lineage,
        "next_unit_id": max([load.state.next_unit_id, *(u.unit_id + 1 for u in load.units)]),
        "columns": json.dumps(load.evolution.schema.pairs()),
        "cursor_value": load.cursor,
        "fingerprint": load.dataset.fingerprint,
    }
    changes = ", ".join(f"{name} = excluded.{name}" for name in list(row)[2:])
    connection.execute(
        f"INSERT INTO {PREFIX}tables ({', '.join(row)}) VALUES ({_places(row)}) "
        f"ON CONFLICT (table_schema, table_name) DO UPDATE SET {changes}, "
        f"refresh = refresh AND NOT ?, updated_at = CURRENT_TIMESTAMP",
        [*row.values(), load.refresh],
    )


def _places(values: list[object] | Mapping[str, object]) -> str:
    return ", ".join("?" for _ in values)


def _record_units(
    connection: sqlite3.Connection,
    table: tuple[str, str],
    load: Load,
    counts: Mapping[int, Accounting],
) -> None:
    if load.refresh or load.dataset.write == "replace":
        connection.execute(f"DELETE FROM {PREFIX}units WHERE {_THIS}", table)
    rows = [
        [
            *(*table, unit.unit_id, unit.unit.position, unit.unit.version, unit.unit.size),
            *(unit.unit.modified_ns, unit.seen_ns, unit.batch_id, load.version),
            *(getattr(counts[unit.unit_id], name) for name in _COUNTS),
        ]
        for unit in load.units
        if not unit.unit.transient
    ]
    if rows:
        places = _places(rows[0])
        connection.executemany(f"INSERT OR REPLACE INTO {PREFIX}units VALUES ({places})", rows)


def ask_for_refresh(connection: sqlite3.Connection, table: tuple[str, str]) -> None:
    """Make the next load begin from an empty table."""
    connection.execute(f"UPDATE {PREFIX}tables SET refresh = TRUE WHERE {_THIS}", table)


def forget(connection: sqlite3.Connection, table: tuple[str, str]) -> None:
    """Remove all that the ledger knows of a table but its version and its loads."""
    for name in ("units", "tombstones"):
        connection.execute(f"DELETE FROM {PREFIX}{name} WHERE {_THIS}", table)
