"""The ledger in a DuckDB file: tables beside the data, written in the data's transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal, literals
from prefect_etl.core.unit import Unit

if TYPE_CHECKING:
    import duckdb

SCHEMA = "_prefect_etl"
_COUNTS = [f.name for f in fields(Accounting)]
_COUNT_COLUMNS = ", ".join(f"rows_{name} BIGINT NOT NULL" for name in _COUNTS)

_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.tables (
    table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
    pipeline VARCHAR NOT NULL, dataset VARCHAR NOT NULL,
    version BIGINT NOT NULL, lineage VARCHAR NOT NULL, next_unit_id BIGINT NOT NULL,
    columns JSON NOT NULL, cursor_value VARCHAR, fingerprint VARCHAR NOT NULL,
    refresh BOOLEAN NOT NULL DEFAULT FALSE,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.units (
    table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL, unit_id BIGINT NOT NULL,
    position VARCHAR NOT NULL, unit_version VARCHAR NOT NULL, size BIGINT, modified_ns BIGINT,
    seen_ns BIGINT NOT NULL, batch_id VARCHAR NOT NULL, load_version BIGINT NOT NULL,
    {_COUNT_COLUMNS}
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.loads (
    table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL, version BIGINT NOT NULL,
    lineage VARCHAR NOT NULL, run_id VARCHAR NOT NULL, refresh BOOLEAN NOT NULL,
    batches JSON NOT NULL, units BIGINT NOT NULL, committed_ns BIGINT NOT NULL, {_COUNT_COLUMNS}
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.tombstones (
    table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
    key JSON NOT NULL, cursor_value VARCHAR
);
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a load's rows, by unit id, and the lineage after it."""

    lineage: str
    counts: Mapping[int, Accounting]


def create_ledger(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the ledger's tables where they are missing."""
    cursor.execute(_TABLES)


def exists(cursor: duckdb.DuckDBPyConnection) -> bool:
    """Whether the file has a ledger."""
    found = cursor.execute(
        "SELECT 1 FROM duckdb_tables() WHERE database_name = current_database() "
        f"AND schema_name = {literal(SCHEMA)} AND table_name = 'tombstones'"
    ).fetchone()
    return found is not None


def _this(table: tuple[str, str]) -> str:
    return f"table_schema = {literal(table[0])} AND table_name = {literal(table[1])}"


def owner(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> tuple[str, str] | None:
    """The pipeline and dataset that a table belongs to."""
    found: tuple[str, str] | None = cursor.execute(
        f"SELECT pipeline, dataset FROM {SCHEMA}.tables WHERE {_this(table)}"
    ).fetchone()
    return found


def read_state(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> LedgerState:
    """What the ledger knows of a table."""
    row = cursor.execute(
        "SELECT version, lineage, next_unit_id, columns, cursor_value, fingerprint, refresh "
        f"FROM {SCHEMA}.tables WHERE {_this(table)}"
    ).fetchone()
    if row is None:
        return LedgerState()
    units = cursor.execute(
        "SELECT unit_id, position, unit_version, size, modified_ns, seen_ns "
        f"FROM {SCHEMA}.units WHERE {_this(table)}"
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
        refresh=refresh,
    )


def read_last_load(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> LoadRecord | None:
    """The record of the load that made the current version."""
    row = cursor.execute(
        "SELECT version, lineage, batches, run_id, refresh, committed_ns "
        f"FROM {SCHEMA}.loads WHERE {_this(table)} ORDER BY version DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return None
    version, lineage, batches, run_id, refresh, committed_ns = row
    return LoadRecord(version, lineage, tuple(json.loads(batches)), run_id, refresh, committed_ns)


def record_load(
    cursor: duckdb.DuckDBPyConnection,
    table: tuple[str, str],
    load: Load,
    outcome: Outcome,
) -> None:
    """Write a load to the ledger, in the transaction of its rows."""
    _record_units(cursor, table, load, outcome.counts)
    sums = total(list(outcome.counts.values()))
    lineage, batches = outcome.lineage, json.dumps(load.batches)
    values = [*table, load.version, lineage, load.run_id, load.refresh, batches]
    values += [len(load.units), time.time_ns(), *(getattr(sums, name) for name in _COUNTS)]
    cursor.execute(f"INSERT INTO {SCHEMA}.loads VALUES ({literals(values)})")
    next_unit_id = max([load.state.next_unit_id, *(unit.unit_id + 1 for unit in load.units)])
    cursor.execute(f"DELETE FROM {SCHEMA}.tables WHERE {_this(table)}")
    row = {
        "table_schema": table[0],
        "table_name": table[1],
        "pipeline": load.pipeline,
        "dataset": load.dataset.name,
        "version": load.version,
        "lineage": lineage,
        "next_unit_id": next_unit_id,
        "columns": json.dumps(load.evolution.schema.pairs()),
        "cursor_value": load.cursor,
        "fingerprint": load.dataset.fingerprint,
    }
    cursor.execute(
        f"INSERT INTO {SCHEMA}.tables ({', '.join(row)}) VALUES ({literals(row.values())})"
    )


def _record_units(
    cursor: duckdb.DuckDBPyConnection,
    table: tuple[str, str],
    load: Load,
    counts: Mapping[int, Accounting],
) -> None:
    if load.refresh or load.dataset.write == "replace":
        cursor.execute(f"DELETE FROM {SCHEMA}.units WHERE {_this(table)}")
    kept = [unit for unit in load.units if not unit.unit.transient]
    if not kept:
        return
    cursor.execute(
        f"DELETE FROM {SCHEMA}.units WHERE {_this(table)} "
        f"AND position IN (SELECT unnest({literal([unit.unit.position for unit in kept])}))"
    )
    columns: list[list[Any]] = [
        [unit.unit_id for unit in kept],
        [unit.unit.position for unit in kept],
        [unit.unit.version for unit in kept],
        [unit.unit.size for unit in kept],
        [unit.unit.modified_ns for unit in kept],
        [unit.seen_ns for unit in kept],
        [unit.batch_id for unit in kept],
        [load.version for _ in kept],
        *([getattr(counts[unit.unit_id], name) for unit in kept] for name in _COUNTS),
    ]
    unnested = ", ".join(f"unnest({literal(column)})" for column in columns)
    cursor.execute(f"INSERT INTO {SCHEMA}.units SELECT {literals(table)}, {unnested}")


def ask_for_refresh(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> None:
    """Make the next load begin from an empty table."""
    cursor.execute(f"UPDATE {SCHEMA}.tables SET refresh = TRUE WHERE {_this(table)}")


def forget(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> None:
    """Remove all that the ledger knows of a table but its version and its loads."""
    for name in ("units", "tombstones"):
        cursor.execute(f"DELETE FROM {SCHEMA}.{name} WHERE {_this(table)}")
