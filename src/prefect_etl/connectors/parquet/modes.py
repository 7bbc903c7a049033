"""What each write mode makes of a table: which rows leave its files, and which come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from prefect_etl.connectors.parquet.building import Building, Built
from prefect_etl.connectors.parquet.reading import AT
from prefect_etl.connectors.parquet.tombstones import TOMBSTONES, bring, keep, write_anew
from prefect_etl.connectors.sql.applying import (
    applied,
    buried,
    forgotten,
    is_missing,
    missing_ones,
    read_again,
)
from prefect_etl.connectors.sql.counting import inserted_all, merged
from prefect_etl.connectors.sql.dialect import DuckDBDialect
from prefect_etl.connectors.sql.merging import COUNTED_AS, decided
from prefect_etl.connectors.sql.staging import bounds, buries, stage
from prefect_etl.connectors.sql.target import ACTION, PLACE, Target
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.rows import UNIT_ID, VALID_TO
from prefect_etl.core.sql import identifier
from prefect_etl.engine.loading import readable

_PRESENT, _ACTIONS = "_etl_present", "_etl_actions"
# The rows of the table that change, and the places at which they were.
_CHANGED, _TOUCHED = "_etl_changed", "_etl_touched"
_UNTOUCHED = "('superseded', 'unchanged')"


@dataclass(frozen=True, slots=True)
class _Places(DuckDBDialect):
    """DuckDB's spelling; a row is known by its place in the files of the version that holds."""

    def place(self, table: str) -> str:
        """The place."""
        return f"{table}.{AT}"


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a load.

    Attributes:
        built: The files of the table.
        counts: Of the rows, by unit.
        tombstones: The file of deleted keys.
    """

    built: Built
    counts: Mapping[int, Accounting]
    tombstones: str | None


def put(building: Building, there: int) -> Put:
    """Put the rows of a load into the version that is built.

    Args:
        building: The version.
        there: Rows of the table that a load which begins anew replaces.
    """
    building.assert_widening()
    if building.load.dataset.keyed:
        return _merge(building)
    gone = _read_again(building)
    with readable(building.cursor, building.load):
        built = building.write(building.load.rows, gone)
    counts = inserted_all(building.load, built.inserted, built.removed or there)
    return Put(built, counts, keep(building))


def _read_again(building: Building) -> str | None:
    """The places of rows that the load brings again."""
    if building.ledger is None:
        return None
    window = bounds(building.cursor, building.load)
    table = f"({building.rows()})"
    deletes = read_again(table, building.load, _Places(), window)
    conditions = [sql.removeprefix(f"DELETE FROM {table} WHERE ") for sql in deletes]
    return f"SELECT {AT} FROM {table} WHERE {' OR '.join(conditions)}" if conditions else None


def _merge(building: Building) -> Put:
    cursor, load = building.cursor, building.load
    # The same files are read several times; their footers need not be.
    cursor.execute("SET SESSION parquet_metadata_cache = true")
    staged = stage(cursor, load)
    window = bounds(cursor, load)
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW {_PRESENT} AS {building.rows()}")
    bring(building)
    named = (load.dataset.schema_ or "", load.dataset.table)
    keys = f"({load.keys})" if load.keys else None
    target = Target(_PRESENT, f"({staged.latest})", _ACTIONS, TOMBSTONES, named, _Places(), keys)
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_ACTIONS} AS {decided(target, load)}")
    found = cursor.execute(
        f"SELECT {UNIT_ID}, {ACTION}, count(*) FROM {_ACTIONS} GROUP BY 1, 2"
    ).fetchall()
    happened = {action for _, action, _ in found}
    missing = _change(building, target, happened)
    columns = ", ".join(identifier(column.name) for column in building.columns)
    built = building.write(f"SELECT {columns} FROM {_CHANGED}", f"SELECT {AT} FROM {_TOUCHED}")
    actions = [(unit, COUNTED_AS.get(action, action), rows) for unit, action, rows in found]
    counts = merged(load, staged.written, staged.superseded, actions, missing)
    statements = [*buried(target, load, happened), *forgotten(target, load, window)]
    if not (buries(load) and statements):
        return Put(built, counts, keep(building))
    for sql in statements:
        cursor.execute(sql)
    return Put(built, counts, write_anew(building))


def _change(building: Building, target: Target, happened: set[str]) -> int:
    """Take the rows that change out of the files, and change them; how many were missing."""
    cursor, load = building.cursor, building.load
    absent = "FALSE"
    if load.finds_missing and building.present:
        current = f"t.{VALID_TO} IS NULL AND " if load.dataset.write == "scd2" else ""
        absent = f"({current}{is_missing(target, load)})"
    touched = f"SELECT {PLACE} FROM {_ACTIONS} WHERE {ACTION} NOT IN {_UNTOUCHED}"
    columns = ", ".join(identifier(column.name) for column in building.columns)
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE {_CHANGED} AS SELECT {columns}, {AT} FROM {_PRESENT} t "
        f"WHERE {AT} IN (SELECT {PLACE} FROM ({touched}) WHERE {PLACE} IS NOT NULL) OR {absent}"
    )
    cursor.execute(f"CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS SELECT {AT} FROM {_CHANGED}")
    changed = replace(target, table=_CHANGED)
    missing = 0
    if absent != "FALSE":
        missing = sum(_changed_rows(cursor.execute(sql)) for sql in missing_ones(changed, load))
    for sql in applied(changed, load, happened):
        cursor.execute(sql)
    return missing


def _changed_rows(done: object) -> int:
    row = done.fetchone()  # type: ignore[attr-defined]
    return int(row[0]) if row else 0
