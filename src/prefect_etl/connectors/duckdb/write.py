"""How rows get into a DuckDB table: append, merge, replace; each counts every row's fate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from prefect_etl.connectors.duckdb.alter import alter
from prefect_etl.connectors.duckdb.ledger import SCHEMA as LEDGER
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, literal, qualified
from prefect_etl.errors import AccountingError

if TYPE_CHECKING:
    import duckdb

# Temporary, because a transaction of DuckDB's can write to one database file only.
_STAGE = "temp.main._etl_stage"
# DuckDB's own name for what happened to a staged row; see _actions.
_COUNTED = ("inserted", "updated", "unchanged", "deleted", "superseded")


def exists(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str]) -> bool:
    """Whether there is a table or view of this name."""
    found = cursor.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database() "
        f"AND table_schema = {literal(table[0])} AND table_name = {literal(table[1])}"
    ).fetchone()
    return found is not None


def write_rows(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load
) -> dict[int, Accounting]:
    """Write a load's rows in the open transaction, and say what became of them, by unit."""
    fresh = load.refresh or load.dataset.write == "replace" or not exists(cursor, table)
    if fresh:
        removed = _create(cursor, table, load)
    else:
        removed = 0
        hint = "Pin its type with types: {column: type}."
        alter(cursor, qualified(*table), load.evolution, load.dataset.name, hint)
    if load.dataset.write == "merge":
        return _merge(cursor, table, load)
    if not fresh:
        removed = _remove_earlier_versions(cursor, table, load)
    return _insert_all(cursor, table, load, removed)


def _columns(load: Load) -> list[Column]:
    extra = [Column(UNIT_ID, "BIGINT")] if load.dataset.carries_unit else []
    return [*load.evolution.schema, *extra]


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(identifier(column.name) for column in columns)


def _create(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> int:
    removed = 0
    if exists(cursor, table):
        row = cursor.execute(f"SELECT count(*) FROM {qualified(*table)}").fetchone()
        removed = row[0] if row else 0
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table[0])}")
    columns = ", ".join(f"{identifier(c.name)} {c.type}" for c in _columns(load))
    cursor.execute(f"CREATE OR REPLACE TABLE {qualified(*table)} ({columns})")
    return int(removed)


def _remove_earlier_versions(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load
) -> int:
    known = load.state.units
    earlier = [
        known[unit.unit.position].unit_id for unit in load.units if unit.unit.position in known
    ]
    if not earlier:
        return 0
    row = cursor.execute(
        f"DELETE FROM {qualified(*table)} WHERE {UNIT_ID} IN (SELECT unnest({literal(earlier)}))"
    ).fetchone()
    return int(row[0]) if row else 0


def _insert_all(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load, removed: int
) -> dict[int, Accounting]:
    columns = _names(_columns(load))
    row = cursor.execute(
        f"INSERT INTO {qualified(*table)} ({columns}) SELECT {columns} FROM ({load.rows})"
    ).fetchone()
    inserted = int(row[0]) if row else 0
    expected = sum(unit.good for unit in load.units)
    if inserted != expected:
        raise AccountingError(
            f"{load.dataset.name}: {expected} rows were to be inserted and {inserted} were",
            hint="Nothing was published. A file of the raw zone may be damaged: use "
            "--full-refresh to read the source again.",
        )
    counts = {unit.unit_id: replace(unit.counts, inserted=unit.good) for unit in load.units}
    if load.units and removed:
        first = load.units[0].unit_id
        counts[first] = replace(counts[first], replaced=removed)
    return counts


def _merge(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load
) -> dict[int, Accounting]:
    try:
        _stage(cursor, table, load)
        counted = cursor.execute(
            f"SELECT {UNIT_ID}, _etl_action, count(*) FROM {_STAGE} GROUP BY ALL"
        ).fetchall()
        _apply(cursor, table, load)
        if load.dataset.deleted_when is not None and load.dataset.cursor_column is not None:
            _bury(cursor, table, load)
    finally:
        cursor.execute(f"DROP TABLE IF EXISTS {_STAGE}")
    counts = {unit.unit_id: unit.counts for unit in load.units}
    for unit_id, action, rows in counted:
        if action not in _COUNTED or unit_id not in counts:
            raise AccountingError(
                f"{load.dataset.name}: {rows} rows of unit {unit_id} are {action}"
            )
        counts[unit_id] = replace(counts[unit_id], **{action: rows})
    return counts


def _stage(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    dataset = load.dataset
    keys = ", ".join(identifier(name) for name in dataset.key)
    cursor_first = (
        f"{identifier(dataset.cursor_column)} DESC NULLS LAST, " if dataset.cursor_column else ""
    )
    latest = (
        f"row_number() OVER (PARTITION BY {keys} "
        f"ORDER BY {cursor_first}{UNIT_ID} DESC, {ROW_NUMBER} DESC) = 1"
    )
    joined = " AND ".join(f"t.{identifier(name)} = s.{identifier(name)}" for name in dataset.key)
    tombstone_join, buried = "", "FALSE"
    if dataset.cursor_column and dataset.deleted_when is not None:
        key_json = f"json_array({', '.join(f's.{identifier(k)}' for k in dataset.key)})"
        kind = load.evolution.schema[dataset.cursor_column].type
        mine = f"s.{identifier(dataset.cursor_column)}"
        # Null is lower than any cursor, here as elsewhere.
        older = f"({mine} IS NULL OR {mine} < CAST(g.cursor_value AS {kind}))"
        buried = f"(g.cursor_value IS NOT NULL AND {older})"
        tombstone_join = (
            f" LEFT JOIN {LEDGER}.tombstones g ON g.table_schema = {literal(table[0])} "
            f"AND g.table_name = {literal(table[1])} AND g.key = {key_json}"
        )
    deleted = f"coalesce(({dataset.deleted_when or 'FALSE'}), FALSE)"
    cursor.execute(
        f"CREATE TEMP TABLE _etl_latest AS SELECT *, {latest} AS _etl_latest, "
        f"{deleted} AS _etl_deleted FROM ({load.rows})"
    )
    cursor.execute(
        f"CREATE TEMP TABLE _etl_stage AS SELECT s.*, {_action(load, buried)} AS _etl_action "
        f"FROM _etl_latest s LEFT JOIN {qualified(*table)} t ON s._etl_latest AND {joined}"
        f"{tombstone_join}"
    )
    cursor.execute("DROP TABLE _etl_latest")


def _action(load: Load, buried: str) -> str:
    dataset = load.dataset
    # A key is never null, so a null here means that the join found no row.
    present = f"t.{identifier(dataset.key[0])} IS NOT NULL"
    equal = " AND ".join(
        f"s.{identifier(c.name)} IS NOT DISTINCT FROM t.{identifier(c.name)}"
        for c in load.evolution.schema
    )
    older = "FALSE"
    if dataset.cursor_column:
        name = identifier(dataset.cursor_column)
        older = (
            f"({present} AND (s.{name} < t.{name} OR (s.{name} IS NULL AND t.{name} IS NOT NULL)))"
        )
    return (
        f"CASE WHEN NOT s._etl_latest OR {older} OR coalesce({buried}, FALSE) THEN 'superseded' "
        f"WHEN s._etl_deleted THEN 'deleted' WHEN NOT ({present}) THEN 'inserted' "
        f"WHEN {equal} THEN 'unchanged' ELSE 'updated' END"
    )


def _apply(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    name = qualified(*table)
    same = " AND ".join(f"t.{identifier(k)} = s.{identifier(k)}" for k in load.dataset.key)
    cursor.execute(
        f"DELETE FROM {name} t USING {_STAGE} s "
        f"WHERE s._etl_action IN ('updated', 'deleted') AND {same}"
    )
    columns = _names(_columns(load))
    cursor.execute(
        f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {_STAGE} "
        "WHERE _etl_action IN ('inserted', 'updated')"
    )


def _bury(cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load) -> None:
    key_json = f"json_array({', '.join(identifier(k) for k in load.dataset.key)})"
    this = f"table_schema = {literal(table[0])} AND table_name = {literal(table[1])}"
    cursor.execute(
        f"DELETE FROM {LEDGER}.tombstones WHERE {this} AND key IN (SELECT {key_json} "
        f"FROM {_STAGE} WHERE _etl_action IN ('inserted', 'updated', 'deleted'))"
    )
    cursor_name = identifier(str(load.dataset.cursor_column))
    cursor.execute(
        f"INSERT INTO {LEDGER}.tombstones SELECT {literal(table[0])}, {literal(table[1])}, "
        f"{key_json}, CAST({cursor_name} AS VARCHAR) FROM {_STAGE} "
        f"WHERE _etl_action = 'deleted' AND {cursor_name} IS NOT NULL"
    )


def highest_cursor(cursor: duckdb.DuckDBPyConnection, load: Load, before: str | None) -> str | None:
    """The highest cursor ever loaded, as text; deleted rows count too."""
    if load.dataset.cursor_column is None:
        return None
    kind = load.evolution.schema[load.dataset.cursor_column].type
    # From the load, not the table: a row that was read and lost, or deleted, was seen all the same.
    earlier = literal(None if load.refresh else before)
    row = cursor.execute(
        f"SELECT CAST(greatest(max({identifier(load.dataset.cursor_column)}), "
        f"CAST({earlier} AS {kind})) AS VARCHAR) FROM ({load.rows})"
    ).fetchone()
    return row[0] if row else None
