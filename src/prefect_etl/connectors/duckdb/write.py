"""How rows get into a DuckDB table: append, merge, replace; each counts every row's fate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.duckdb.alter import alter
from prefect_etl.connectors.duckdb.ledger import SCHEMA as LEDGER
from prefect_etl.connectors.duckdb.tables import belongings, exists, renew, restore
from prefect_etl.connectors.sql.applying import read_again
from prefect_etl.connectors.sql.counting import inserted_all
from prefect_etl.connectors.sql.dialect import DuckDBDialect
from prefect_etl.connectors.sql.merging import merge
from prefect_etl.connectors.sql.staging import bounds, stage, table_columns
from prefect_etl.connectors.sql.target import Target
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.engine.loading import readable

if TYPE_CHECKING:
    import duckdb

_ACTIONS = "temp.main._etl_actions"


def write_rows(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load
) -> dict[int, Accounting]:
    """Write a load's rows in the open transaction, and say what became of them, by unit."""
    fresh = load.refresh or load.dataset.write == "replace" or not exists(cursor, table)
    if not fresh:
        hint = "Pin its type with types: {column: type}."
        alter(cursor, qualified(*table), load.evolution, load.dataset.name, hint)
        return _write(cursor, table, load, None)
    before = belongings(cursor, table)
    counts = _write(cursor, table, load, renew(cursor, table, load))
    restore(cursor, table, before, load.dataset.name)
    return counts


def _write(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load, removed: int | None
) -> dict[int, Accounting]:
    """Write the rows; ``removed`` were taken out of the table, which is empty now if not None."""
    if load.dataset.keyed:
        return _merge(cursor, table, load, empty=removed is not None)
    if removed is None:
        again = read_again(qualified(*table), load, DuckDBDialect(), bounds(cursor, load))
        removed = sum(_Statements(cursor).run(sql) for sql in again)
    return _insert_all(cursor, table, load, removed)


def _names(columns: Iterable[Column]) -> str:
    return ", ".join(identifier(column.name) for column in columns)


def _insert_all(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load, removed: int
) -> dict[int, Accounting]:
    columns = _names(table_columns(load))
    with readable(cursor, load):
        inserted = _Statements(cursor).run(
            f"INSERT INTO {qualified(*table)} ({columns}) SELECT {columns} FROM ({load.rows})"
        )
    return inserted_all(load, inserted, removed)


def _merge(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load, *, empty: bool
) -> dict[int, Accounting]:
    staged = stage(cursor, load)
    target = Target(
        table=qualified(*table),
        stage=f"({staged.latest})",
        actions=_ACTIONS,
        tombstones=f"{LEDGER}.tombstones",
        named=table,
        dialect=DuckDBDialect(),
        keys=f"({load.keys})" if load.keys else None,
    )
    window = bounds(cursor, load)
    counts = merge(_Statements(cursor), target, load, staged, window=window, empty=empty)
    staged.drop()
    return counts


@dataclass(frozen=True, slots=True)
class _Statements:
    """The open transaction, for the statements that all destinations share."""

    cursor: duckdb.DuckDBPyConnection

    def run(self, sql: str) -> int:
        row = self.cursor.execute(sql).fetchone()
        return int(row[0]) if row else 0

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return self.cursor.execute(sql).fetchall()
