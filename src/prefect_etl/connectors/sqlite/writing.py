"""How rows get into a SQLite table: append, merge, replace, versions; each counts every row.

Rows come from the engine as Arrow and go in by ``executemany``. A merge stages them in a temporary
table, which only this connection sees.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.sql.applying import read_again
from prefect_etl.connectors.sql.counting import inserted_all
from prefect_etl.connectors.sql.merging import merge
from prefect_etl.connectors.sql.staging import (
    Staged,
    bounds,
    stage_columns,
    staged,
    table_columns,
)
from prefect_etl.connectors.sql.target import Target
from prefect_etl.connectors.sqlite import changing, tables
from prefect_etl.connectors.sqlite.columns import Carried, all_carried
from prefect_etl.connectors.sqlite.dialect import SqliteDialect, Transaction
from prefect_etl.connectors.sqlite.ledger import TOMBSTONES
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.core.rows import VALID_FROM
from prefect_etl.core.schema import Column
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.engine.loading import arrow_rows
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import pyarrow as pa

    from prefect_etl.engine.duckdb import Session

_STAGE, _ACTIONS, _KEYS = "temp._etl_stage", "temp._etl_actions", "temp._etl_keys"
# Rows that are Python's at a time.
_SLICE = 4096


@dataclass(frozen=True, slots=True)
class Writer:
    """A load on its way into a table.

    Attributes:
        connection: In the transaction.
        session: The engine that reads the rows.
        table: Schema and name, as the ledger knows it.
        load: The load.
    """

    connection: sqlite3.Connection
    session: Session
    table: tuple[str, str]
    load: Load

    def write(self) -> dict[int, Accounting]:
        """Write the rows, and say what became of them, by unit.

        Raises:
            AccountingError: Other rows came than were to.
            SchemaError: A type or a value does not fit.
        """
        load, name = self.load, self.table[1]
        there = tables.kind_of(self.connection, name) is not None
        if there and not load.refresh and load.dataset.write != "replace":
            changing.alter(self.connection, name, load)
            tables.assert_holds(self.connection, name, load)
            return self._write(None)
        what, dataset = load.dataset.name, load.dataset
        if there and dataset.keyed and not dataset.adopt:
            tables.drop_other_keys(self.connection, name, self._unique)
        kept = changing.belongings_kept(self.connection, name, what) if there else nullcontext()
        with kept:
            counts = self._write(changing.renew(self.connection, name, load))
        if load.dataset.keyed:
            self._ensure_keys()
        return counts

    def _write(self, removed: int | None) -> dict[int, Accounting]:
        """Write the rows; ``removed`` were taken out of the table, which is empty if not None."""
        if self.load.dataset.keyed:
            return self._merge(empty=removed is not None)
        if removed is None:
            with self.session.cursor() as cursor:
                window = bounds(cursor, self.load)
            again = read_again(self._name, self.load, SqliteDialect(), window)
            removed = sum(Transaction(self.connection).run(sql) for sql in again)
        return self._append(removed)

    @property
    def _name(self) -> str:
        return qualified(*self.table)

    def _carried(self, columns: Iterable[Column]) -> list[Carried]:
        return all_carried(columns, self.load.dataset.name)

    @property
    def _unique(self) -> list[str]:
        """The columns of which no two rows have the same: of versions also their beginning."""
        dataset = self.load.dataset
        return [*dataset.key, *([VALID_FROM] if dataset.write == "scd2" else [])]

    def _ensure_keys(self) -> None:
        tables.ensure_keys(self.connection, self.table[1], self._unique)

    def _append(self, removed: int) -> dict[int, Accounting]:
        columns = self._carried(table_columns(self.load))
        sql = _travelling(self.load.rows, columns)
        with arrow_rows(self.session, self.load, sql, lossless=False) as batches:
            inserted = self._insert(self._name, columns, batches)
        return inserted_all(self.load, inserted, removed)

    def _merge(self, *, empty: bool) -> dict[int, Accounting]:
        if not empty:
            self._ensure_keys()
        columns = self._carried(stage_columns(self.load))
        database = Transaction(self.connection)
        with staged(self.session, self.load) as rows:
            self._assert_in_order(rows)
            self._stage(_STAGE, columns, rows, rows.latest)
            if self.load.keys is not None:
                schema = self.load.evolution.schema
                those = self._carried(schema[name] for name in self.load.dataset.key)
                self._stage(_KEYS, those, rows, self.load.keys)
            target = Target(
                table=self._name,
                stage=_STAGE,
                actions=_ACTIONS,
                tombstones=TOMBSTONES,
                named=self.table,
                dialect=SqliteDialect(tables.rowid_of(self.connection, self.table[1]) or "rowid"),
                keys=_KEYS if self.load.keys else None,
            )
            window = bounds(rows.cursor, self.load)
            counts = merge(database, target, self.load, rows, window=window, empty=empty)
            database.run(f"DROP TABLE {_STAGE}")
            if self.load.keys is not None:
                database.run(f"DROP TABLE {_KEYS}")
        return counts

    def _stage(self, table: str, columns: Sequence[Carried], rows: Staged, sql: str) -> None:
        """Bring rows into a temporary table, to be found by their key."""
        database, keys = Transaction(self.connection), map(identifier, self.load.dataset.key)
        given = ", ".join(f"{identifier(c.name)} {c.kind}" for c in columns)
        database.run(f"CREATE TEMP TABLE {table} ({given})")
        self._insert(table, columns, rows.reader(_travelling(sql, columns), lossless=False))
        name = table.removeprefix("temp.")
        database.run(f"CREATE INDEX temp.{name}_key ON {name} ({', '.join(keys)})")

    def _assert_in_order(self, rows: Staged) -> None:
        """Make sure that the beginnings of versions are in order as text."""
        if self.load.dataset.write != "scd2":
            return
        years = f"isfinite({VALID_FROM}) AND year({VALID_FROM}) BETWEEN 1 AND 9998"
        found = rows.cursor.execute(
            f"SELECT CAST({VALID_FROM} AS VARCHAR) FROM ({rows.latest}) WHERE NOT ({years}) LIMIT 1"
        ).fetchone()
        if found is not None:
            raise SchemaError(
                f"{self.load.dataset.name}: a version would begin at {found[0]}, and times in "
                "SQLite are in order from the year 1 to 9998 only",
                hint="Leave such rows out with where:, or give the dataset another cursor.",
            )

    def _insert(self, table: str, columns: Sequence[Carried], batches: pa.RecordBatchReader) -> int:
        names = ", ".join(identifier(c.name) for c in columns)
        places = ", ".join("?" for _ in columns)
        inserted = 0
        for batch in batches:
            self.connection.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({places})", _rows(batch, columns)
            )
            inserted += batch.num_rows
        return inserted


def _travelling(rows: str, columns: Sequence[Carried]) -> str:
    values = ", ".join(f"{c.expression} AS {identifier(c.name)}" for c in columns)
    return f"SELECT {values} FROM ({rows})"


def _rows(batch: pa.RecordBatch, columns: Sequence[Carried]) -> Iterator[tuple[Any, ...]]:
    for start in range(0, batch.num_rows, _SLICE):
        part = batch.slice(start, _SLICE)
        values = (_values(part.column(n), column) for n, column in enumerate(columns))
        yield from zip(*values, strict=True)


def _values(array: pa.Array, column: Carried) -> list[Any]:
    if column.stored in ("integer", "real") and not array.null_count:
        values: list[Any] = array.to_numpy().tolist()
    else:
        values = array.to_pylist()
    if column.stored == "real":  # SQLite would make null of it
        return ["NaN" if value != value else value for value in values]  # noqa: PLR0124
    return values
