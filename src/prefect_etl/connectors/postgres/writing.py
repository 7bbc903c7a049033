"""How rows get into a PostgreSQL table: append, merge, replace, versions; each counts every row.

A table that is empty is filled by ``COPY``, straight from the engine, whatever the write mode is.
One that has rows is appended to in the same way, or merged into from a stage that only this
session sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import tables
from prefect_etl.connectors.postgres.columns import Carried, all_carried
from prefect_etl.connectors.postgres.copying import Into, copy_into, travelling
from prefect_etl.connectors.postgres.dialect import PostgresDialect, Transaction
from prefect_etl.connectors.postgres.ledger import SCHEMA as LEDGER
from prefect_etl.connectors.postgres.passthrough import straight_rows
from prefect_etl.connectors.postgres.replacing import Shape, emptied
from prefect_etl.connectors.sql.applying import read_again
from prefect_etl.connectors.sql.counting import inserted_all, merged
from prefect_etl.connectors.sql.merging import merge
from prefect_etl.connectors.sql.staging import (
    KEY,
    Staged,
    bounds,
    buries,
    stage_columns,
    staged,
    table_columns,
)
from prefect_etl.connectors.sql.target import Target
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.core.rows import DELETED, UNIT_ID, VALID_TO
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.core.sql import identifier, literals, qualified
from prefect_etl.engine.loading import arrow_rows, batch_rows, batches
from prefect_etl.errors import SchemaError

if TYPE_CHECKING:
    import psycopg

    from prefect_etl.engine.duckdb import Session

_STAGE, _ACTIONS = "pg_temp._etl_stage", "pg_temp._etl_actions"
_KEYS = "pg_temp._etl_keys"
_TOMBSTONES = f"{LEDGER}.tombstones"
# Of the rows of a table: above this share of changes the planner is told of them.
_WORTH_ANALYZING = 0.05
# What the statistics of a table begin with; the server's own default is 100.
_SAMPLE = 30


@dataclass(frozen=True, slots=True)
class Writer:
    """A load on its way into a table.

    Attributes:
        connection: In the transaction.
        session: The engine that reads the rows.
        table: Schema and name.
        load: The load; its key and cursor are spelled as the table spells them.
    """

    connection: psycopg.Connection[Any]
    session: Session
    table: tuple[str, str]
    load: Load

    def write(self) -> dict[int, Accounting]:
        """Write the rows, and say what became of them, by unit.

        Raises:
            AccountingError: Other rows came than were to.
            SchemaError: A name, a type or a value does not fit.
        """
        if tables.oid_of(self.connection, self.table) is None:
            return self._create()
        if self.load.refresh or self.load.dataset.write == "replace":
            return self._replace()
        self._alter()
        if self.load.dataset.keyed:
            return self._merge()
        return self._append()

    @property
    def _name(self) -> str:
        return self.load.dataset.name

    def _kinds(self) -> dict[str, str]:
        return tables.kinds_of(self.connection, self.table)

    def _columns(self) -> Sequence[Carried]:
        """The columns of the table after the load."""
        rows = straight_rows(self.load)
        return rows.columns if rows else all_carried(table_columns(self.load), self._name)

    def _known(self) -> dict[str, str]:
        """The types with which the ledger says that columns were made."""
        known = all_carried(self.load.state.schema or (), self._name)
        return {column.name: column.kind for column in known}

    def _alter(self) -> None:
        columns = self._columns()
        present = {name.lower(): name for name in self._kinds()}
        for column in columns:
            other = present.get(column.name.lower(), column.name)
            if other != column.name:
                raise SchemaError(
                    f"{self._name}: the table's column {other} and the source's {column.name} "
                    "differ only in case",
                    hint=f"Use columns: {{rename: {{{column.name}: {other}}}}}.",
                )
        widened = {name for name, _, _ in self.load.evolution.widened}
        tables.alter(self.connection, self.table, columns, widened, self._name)

    def _create(self) -> dict[int, Accounting]:
        columns = self._columns()
        tables.create(self.connection, self.table, columns)
        counts = self._fill(Into(qualified(*self.table), self._kinds(), self._name, new=True), 0)
        self._finish()
        return counts

    def _replace(self) -> dict[int, Accounting]:
        dataset = self.load.dataset
        if dataset.keyed and not dataset.adopt:
            key = () if dataset.write == "scd2" else dataset.key
            tables.drop_other_key(self.connection, self.table, key)
        shape = Shape(self._columns(), self._known())
        with emptied(self.connection, self.table, shape, self._name) as (into, removed):
            counts = self._fill(into, removed)
        self._finish()
        return counts

    def _fill(self, into: Into, removed: int) -> dict[int, Accounting]:
        """Put all rows into a table that is empty."""
        if not self.load.dataset.keyed:
            return self._copy_all(into, removed)
        with staged(self.session, self.load) as rows:
            return self._fill_latest(into, rows)

    def _finish(self) -> None:
        """What is cheaper, or only right, when all rows are there."""
        self._ensure_keys()
        self._analyze()

    def _ensure_keys(self) -> None:
        dataset = self.load.dataset
        if dataset.keyed:
            versions = dataset.write == "scd2"
            tables.ensure_keys(self.connection, self.table, dataset.key, versions=versions)

    def _append(self) -> dict[int, Accounting]:
        name = qualified(*self.table)
        database = Transaction(self.connection, _ACTIONS)
        with self.session.cursor() as cursor:
            window = bounds(cursor, self.load)
        removed = sum(
            database.run(sql) for sql in read_again(name, self.load, PostgresDialect(), window)
        )
        counts = self._copy_all(Into(name, self._kinds(), self._name), removed)
        self._analyze_if_changed(counts)
        return counts

    def _copy_all(self, into: Into, removed: int) -> dict[int, Accounting]:
        columns, straight = self._columns(), straight_rows(self.load)
        if straight is not None:
            return inserted_all(
                self.load, copy_into(self.connection, straight, columns, into), removed
            )
        sql = travelling(self.load.rows, columns)
        with arrow_rows(self.session, self.load, sql, lossless=False) as stream:
            inserted = copy_into(self.connection, stream, columns, into)
        return inserted_all(self.load, inserted, removed)

    def _fill_latest(self, into: Into, rows: Staged) -> dict[int, Accounting]:
        """Of each key the row that counts; nothing is there to merge it with."""
        columns = [c for c in table_columns(self.load) if c.name not in (VALID_TO, UNIT_ID)]
        kept = f"SELECT * FROM ({rows.latest}) WHERE NOT {DELETED}"
        self._copy_staged(rows, kept, columns, into)
        fates = rows.cursor.execute(
            f"SELECT {UNIT_ID}, CASE WHEN {DELETED} THEN 'deleted' ELSE 'inserted' END, count(*) "
            f"FROM ({rows.latest}) GROUP BY ALL"
        ).fetchall()
        if buries(self.load):
            cursor = identifier(str(self.load.dataset.cursor_column))
            graves = (
                f"SELECT {literals(self.table)}, {KEY}, CAST({cursor} AS VARCHAR) "
                f"FROM ({rows.latest}) WHERE {DELETED} AND {cursor} IS NOT NULL"
            )
            names = ("table_schema", "table_name", "key", "cursor_value")
            graves = f"SELECT * FROM ({graves}) AS graves({', '.join(names)})"
            texts = [Column(name, "VARCHAR") for name in names]
            text_kinds = dict.fromkeys(names, "text")
            self._copy_staged(rows, graves, texts, Into(_TOMBSTONES, text_kinds, self._name))
        return merged(self.load, rows.written, rows.superseded, fates)

    def _copy_staged(self, rows: Staged, sql: str, columns: list[Column], into: Into) -> None:
        carried = all_carried(columns, self._name)
        schema = TableSchema(tuple(columns))
        at_once = batch_rows(rows.cursor, sql, schema)
        stream = batches(rows.cursor, travelling(sql, carried), at_once, lossless=False)
        copy_into(self.connection, stream, carried, into)

    def _merge(self) -> dict[int, Accounting]:
        # Rows are found by their place, so nobody else may move them; readers go on.
        name = qualified(*self.table)
        self._run(f"LOCK TABLE {name} IN SHARE ROW EXCLUSIVE MODE")
        self._ensure_keys()
        columns, held = stage_columns(self.load), self._kinds()
        kinds = {c.name: held.get(c.name, c.kind) for c in all_carried(columns, self._name)}
        given = ", ".join(f"{identifier(column)} {kind}" for column, kind in kinds.items())
        with staged(self.session, self.load) as rows:
            self._run(f"CREATE TEMP TABLE {_STAGE} ({given}) ON COMMIT DROP")
            self._copy_staged(rows, rows.latest, columns, Into(_STAGE, kinds, self._name, new=True))
            self._run(f"ANALYZE {_STAGE}")
            self._stage_keys(rows, kinds)
            target = Target(
                table=name,
                stage=_STAGE,
                actions=_ACTIONS,
                tombstones=_TOMBSTONES,
                named=self.table,
                dialect=PostgresDialect(),
                keys=_KEYS if self.load.keys else None,
            )
            database = Transaction(self.connection, _ACTIONS)
            window = bounds(rows.cursor, self.load)
            counts = merge(database, target, self.load, rows, window=window)
        self._analyze_if_changed(counts)
        return counts

    def _stage_keys(self, rows: Staged, kinds: Mapping[str, str]) -> None:
        """Bring the keys of all rows at the source."""
        if self.load.keys is None:
            return
        columns = [self.load.evolution.schema[name] for name in self.load.dataset.key]
        mine = {column.name: kinds[column.name] for column in columns}
        given = ", ".join(f"{identifier(name)} {kind}" for name, kind in mine.items())
        self._run(f"CREATE TEMP TABLE {_KEYS} ({given}) ON COMMIT DROP")
        self._copy_staged(rows, self.load.keys, columns, Into(_KEYS, mine, self._name, new=True))
        self._run(f"ANALYZE {_KEYS}")

    def _analyze_if_changed(self, counts: dict[int, Accounting]) -> None:
        changed = sum(
            c.inserted + c.updated + c.deleted + c.replaced + c.missing for c in counts.values()
        )
        if changed > _WORTH_ANALYZING * tables.estimate(self.connection, self.table):
            self._analyze()

    def _analyze(self) -> None:
        # A small sample, a third of the time: it is thought over when autovacuum looks in.
        self._run(f"SET LOCAL default_statistics_target = {_SAMPLE}")
        self._run(f"ANALYZE {qualified(*self.table)}")
        self._run("SET LOCAL default_statistics_target TO DEFAULT")

    def _run(self, sql: str) -> None:
        self.connection.execute(sql.encode())


def spelled_as_table(load: Load) -> Load:
    """The load with its key and cursor in the case of its columns, which PostgreSQL heeds."""
    schema, dataset = load.evolution.schema, load.dataset

    def spelled(name: str) -> str:
        column = schema.find(name)
        return column.name if column else name

    changes: dict[str, Any] = {"key": tuple(spelled(name) for name in dataset.key)}
    if dataset.cursor is not None:
        column = spelled(dataset.cursor.column)
        changes["cursor"] = dataset.cursor.model_copy(update={"column": column})
    return replace(load, dataset=dataset.model_copy(update=changes))
