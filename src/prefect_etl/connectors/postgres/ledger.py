"""The ledger in a PostgreSQL database: tables beside the data, written in the data's transaction.

The tables are DuckDB's, column by column. A load holds a lock on its table's name from the
beginning, so that of two runs the second waits, and then sees what the first one made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.ledger import KnownUnit, LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

if TYPE_CHECKING:
    import psycopg

SCHEMA = "_prefect_etl"
# The first half of our advisory locks, so that those of others are not met.
LOCK_SPACE = 0x70726566
_COUNTS = [f.name for f in fields(Accounting)]
_COUNT_COLUMNS = ", ".join(f"rows_{name} bigint NOT NULL" for name in _COUNTS)
_THIS = "table_schema = %s AND table_name = %s"

_TABLES = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {SCHEMA}.tables (
    table_schema text NOT NULL, table_name text NOT NULL,
    pipeline text NOT NULL, dataset text NOT NULL,
    version bigint NOT NULL, lineage text NOT NULL, next_unit_id bigint NOT NULL,
    columns json NOT NULL, cursor_value text, fingerprint text NOT NULL,
    refresh boolean NOT NULL DEFAULT FALSE,
    updated_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name)
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.units (
    table_schema text NOT NULL, table_name text NOT NULL, unit_id bigint NOT NULL,
    position text NOT NULL, unit_version text NOT NULL, size bigint, modified_ns bigint,
    seen_ns bigint NOT NULL, batch_id text NOT NULL, load_version bigint NOT NULL,
    {_COUNT_COLUMNS},
    PRIMARY KEY (table_schema, table_name, unit_id)
);
CREATE TABLE IF NOT EXISTS {SCHEMA}.loads (
    table_schema text NOT NULL, table_name text NOT NULL, version bigint NOT NULL,
    lineage text NOT NULL, run_id text NOT NULL, refresh boolean NOT NULL,
    batches json NOT NULL, units bigint NOT NULL, committed_ns bigint NOT NULL, {_COUNT_COLUMNS}
);
CREATE INDEX IF NOT EXISTS loads_of_table ON {SCHEMA}.loads (table_schema, table_name, version);
CREATE TABLE IF NOT EXISTS {SCHEMA}.tombstones (
    table_schema text NOT NULL, table_name text NOT NULL,
    key text NOT NULL, cursor_value text
);
CREATE INDEX IF NOT EXISTS tombstones_of_key ON {SCHEMA}.tombstones USING hash (key);
"""


def create_ledger(connection: psycopg.Connection[Any]) -> None:
    """Make the ledger's tables where they are missing, in a transaction of their own."""
    if exists(connection):
        return
    with connection.transaction():
        # Two runs that both find nothing would break each other's CREATE … IF NOT EXISTS.
        connection.execute("SELECT pg_advisory_xact_lock(%s, 0)", (LOCK_SPACE,))
        connection.execute(_TABLES.encode())


def exists(connection: psycopg.Connection[Any]) -> bool:
    """Whether the database has a ledger."""
    row = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.tombstones",)
    ).fetchone()
    return row is not None and bool(row[0])


def lock(connection: psycopg.Connection[Any], table: tuple[str, str]) -> None:
    """Wait until no other load of the table is under way; held until the transaction ends."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", (LOCK_SPACE, lock_name(table))
    )


def lock_name(table: tuple[str, str]) -> str:
    """What the lock on a table's name is made of."""
    return json.dumps(table)


def owner(connection: psycopg.Connection[Any], table: tuple[str, str]) -> tuple[str, str] | None:
    """The pipeline and dataset that a table belongs to."""
    found: tuple[str, str] | None = connection.execute(
        f"SELECT pipeline, dataset FROM {SCHEMA}.tables WHERE {_THIS}".encode(), table
    ).fetchone()
    return found


def read_state(connection: psycopg.Connection[Any], table: tuple[str, str]) -> LedgerState:
    """What the ledger knows of a table."""
    row = connection.execute(
        "SELECT version, lineage, next_unit_id, columns, cursor_value, fingerprint, refresh "
        f"FROM {SCHEMA}.tables WHERE {_THIS}".encode(),
        table,
    ).fetchone()
    if row is None:
        return LedgerState()
    units = connection.execute(
        "SELECT unit_id, position, unit_version, size, modified_ns, seen_ns "
        f"FROM {SCHEMA}.units WHERE {_THIS}".encode(),
        table,
    ).fetchall()
    version, lineage, next_unit_id, columns, cursor_value, fingerprint, refresh = row
    return LedgerState(
        version=version,
        lineage=lineage,
        units={u[1]: KnownUnit(u[0], Unit(u[1], u[2], u[3], u[4]), u[5]) for u in units},
        next_unit_id=next_unit_id,
        schema=TableSchema.from_pairs((name, kind) for name, kind in columns),
        cursor=cursor_value,
        fingerprint=fingerprint,
        refresh=refresh,
    )


def read_last_load(
    connection: psycopg.Connection[Any], table: tuple[str, str]
) -> LoadRecord | None:
    """The record of the load that made the current version."""
    row = connection.execute(
        "SELECT version, lineage, batches, run_id, refresh, committed_ns "
        f"FROM {SCHEMA}.loads WHERE {_THIS} ORDER BY version DESC LIMIT 1".encode(),
        table,
    ).fetchone()
    if row is None:
        return None
    version, lineage, batches, run_id, refresh, committed_ns = row
    return LoadRecord(version, lineage, tuple(batches), run_id, refresh, committed_ns)


def has_load(
    connection: psycopg.Connection[Any], table: tuple[str, str], load: Load, lineage: str
) -> bool:
    """Whether this very load is published."""
    row = connection.execute(
        f"SELECT 1 FROM {SCHEMA}.loads WHERE {_THIS} "
        "AND version = %s AND lineage = %s AND run_id = %s".encode(),
        (*table, load.version, lineage, load.run_id),
    ).fetchone()
    return row is not None


def record_load(
    connection: psycopg.Connection[Any],
    table: tuple[str, str],
    load: Load,
    lineage: str,
    counts: Mapping[int, Accounting],
) -> None:
    """Write a load to the ledger, in the transaction of its rows.

    Args:
        connection: In the transaction.
        table: The table.
        load: What was loaded.
        lineage: The history that it belongs to.
        counts: What became of its rows, by unit.
    """
    _record_units(connection, table, load, counts)
    sums = total(list(counts.values()))
    values = [*table, load.version, lineage, load.run_id, load.refresh]
    values += [json.dumps(load.batches), len(load.units), time.time_ns()]
    values += [getattr(sums, name) for name in _COUNTS]
    connection.execute(
        f"INSERT INTO {SCHEMA}.loads VALUES ({', '.join(['%s'] * len(values))})".encode(), values
    )
    row = {
        "table_schema": table[0],
        "table_name": table[1],
        "pipeline": load.pipeline,
        "dataset": load.dataset.name,
        "version": load.version,
        "lineage": lineage,
        "next_unit_id": max([load.state.next_unit_id, *(u.unit_id + 1 for u in load.units)]),
        "columns": json.dumps(load.evolution.schema.pairs()),
        "cursor_value": load.cursor,
        "fingerprint": load.dataset.fingerprint,
    }
    changes = ", ".join(f"{name} = excluded.{name}" for name in list(row)[2:])
    # A refresh that somebody asked for while this load ran is still to be done.
    kept = f"refresh = {SCHEMA}.tables.refresh AND NOT {load.refresh}"
    connection.execute(
        f"INSERT INTO {SCHEMA}.tables ({', '.join(row)}) "
        f"VALUES ({', '.join(['%s'] * len(row))}) ON CONFLICT (table_schema, table_name) "
        f"DO UPDATE SET {changes}, {kept}, updated_at = now()".encode(),
        list(row.values()),
    )


def _record_units(
    connection: psycopg.Connection[Any],
    table: tuple[str, str],
    load: Load,
    counts: Mapping[int, Accounting],
) -> None:
    if load.refresh or load.dataset.write == "replace":
        connection.execute(f"DELETE FROM {SCHEMA}.units WHERE {_THIS}".encode(), table)
    kept = [unit for unit in load.units if not unit.unit.transient]
    if not kept:
        return
    positions = [unit.unit.position for unit in kept]
    connection.execute(
        f"DELETE FROM {SCHEMA}.units WHERE {_THIS} AND position = ANY(%s)".encode(),
        (*table, positions),
    )
    columns: list[tuple[str, list[Any]]] = [
        ("bigint", [unit.unit_id for unit in kept]),
        ("text", positions),
        ("text", [unit.unit.version for unit in kept]),
        ("bigint", [unit.unit.size for unit in kept]),
        ("bigint", [unit.unit.modified_ns for unit in kept]),
        ("bigint", [unit.seen_ns for unit in kept]),
        ("text", [unit.batch_id for unit in kept]),
        ("bigint", [load.version for _ in kept]),
        *(("bigint", [getattr(counts[u.unit_id], name) for u in kept]) for name in _COUNTS),
    ]
    unnested = ", ".join(f"%s::{kind}[]" for kind, _ in columns)
    connection.execute(
        f"INSERT INTO {SCHEMA}.units SELECT %s, %s, u.* FROM unnest({unnested}) u".encode(),
        (*table, *(values for _, values in columns)),
    )


def ask_for_refresh(connection: psycopg.Connection[Any], table: tuple[str, str]) -> None:
    """Make the next load begin from an empty table."""
    connection.execute(f"UPDATE {SCHEMA}.tables SET refresh = TRUE WHERE {_THIS}".encode(), table)


def forget(connection: psycopg.Connection[Any], table: tuple[str, str]) -> None:
    """Remove all that the ledger knows of a table but its version and its loads."""
    for name in ("units", "tombstones"):
        connection.execute(f"DELETE FROM {SCHEMA}.{name} WHERE {_THIS}".encode(), table)
