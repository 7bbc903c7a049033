"""Loads as the pipeline prepares them, for the tests of destinations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from prefect_etl.connectors.base import Destination
from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult, LoadUnit
from prefect_etl.core.rows import ROW_NUMBER, STREAM, UNIT_ID, ArrowRows
from prefect_etl.core.schema import TableSchema, evolve
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.testing.exercise import Exercise, Row, multiset, small_session

SCHEMA = TableSchema.of(id="BIGINT", name="VARCHAR", seen="INTEGER", gone="BOOLEAN")
# The same with a time for a cursor.
TIMED = TableSchema.of(id="BIGINT", name="VARCHAR", seen="TIMESTAMP", gone="BOOLEAN")
Units = Mapping[str | Unit, Sequence[Row]]


def row(
    number: int, name: str | None = "a", seen: int | str | None = 1, *, gone: bool = False
) -> Row:
    """A row of the tables that the tests load."""
    return {"id": number, "name": name, "seen": seen, "gone": gone}


def make_load(
    dataset: DatasetSpec,
    state: LedgerState,
    units: Units,
    schema: TableSchema = SCHEMA,
    **given: Any,
) -> Load:
    """A load as the pipeline prepares it.

    Args:
        dataset: What is loaded.
        state: What the load extends.
        units: Rows by unit; text is a position, of version 1.
        schema: Of the rows.
        given: Other fields of the load.
    """
    refresh = bool(given.get("refresh"))
    evolution = evolve(None if refresh else state.schema, schema, dataset=dataset.name)
    numbered = list(enumerate(units.items(), state.next_unit_id))
    parts = [
        _select(evolution.schema, number, place, given)
        for number, (_, rows) in numbered
        for place, given in enumerate(rows, 1)
    ]
    nothing = f"{_select(evolution.schema, 0, 0, {})} WHERE FALSE"
    load_units = tuple(
        LoadUnit(
            unit_id=number,
            unit=unit if isinstance(unit, Unit) else Unit(unit, "1"),
            batch_id=f"batch-{number}",
            counts=Accounting(read=len(rows)),
            seen_ns=number,
        )
        for number, (unit, rows) in numbered
    )
    load = Load(
        pipeline="conformance",
        dataset=dataset,
        state=state,
        evolution=evolution,
        units=load_units,
        rows=" UNION ALL ".join(parts) or nothing,
        batches=tuple(unit.batch_id for unit in load_units),
        run_id="run",
        lineage=None if refresh else state.lineage,
        cursor=_highest(dataset, None if refresh else state.cursor, units),
        moment=read_on(20),
    )
    return replace(load, **given)


def read_on(day: int) -> datetime:
    """A time of the month that the tests live in."""
    return datetime(2026, 1, day, tzinfo=UTC)


def _highest(dataset: DatasetSpec, before: str | None, units: Units) -> str | None:
    """The highest cursor ever loaded, of numbers or of text."""
    if dataset.cursor_column is None:
        return None
    found = [given.get(dataset.cursor_column) for rows in units.values() for given in rows]
    known = [str(value) for value in (before, *found) if value is not None]
    return max(known, key=lambda text: (int(text) if text.isdigit() else 0, text), default=None)


def streamed(session: Session, load: Load, read: int | None = None) -> Load:
    """The same load with its rows as a stream, as they come without a raw zone.

    Args:
        session: The engine.
        load: Of one unit.
        read: How many rows the source gave; as many as the load has if None.
    """
    with session.cursor() as cursor:
        table = cursor.execute(load.rows).to_arrow_table()
    columns = ", ".join(identifier(name) for name in table.schema.names)
    return replace(
        load,
        units=tuple(replace(unit, counts=Accounting()) for unit in load.units),
        rows=f"SELECT {columns} FROM {STREAM}",
        stream=ArrowRows(table.to_reader(max_chunksize=2)),
        counted=lambda: read,
    )


def _select(schema: TableSchema, unit_id: int, place: int, given: Row) -> str:
    columns = [
        f"CAST({literal(given.get(column.name))} AS {column.type}) AS {identifier(column.name)}"
        for column in schema
    ]
    columns.append(f"CAST({unit_id} AS BIGINT) AS {UNIT_ID}")
    columns.append(f"CAST({place} AS BIGINT) AS {ROW_NUMBER}")
    return f"SELECT {', '.join(columns)}"


@dataclass(frozen=True, slots=True)
class Table:
    """One dataset in the destination under test."""

    exercise: Exercise
    folder: Path
    session: Session
    dataset: DatasetSpec

    @property
    def destination(self) -> Destination:
        """Opened anew each time, as by another process."""
        return self.exercise.destination(self.folder, self.session)

    @property
    def state(self) -> LedgerState:
        """What the ledger knows of it."""
        return self.destination.state(self.dataset)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What anybody who opens it sees."""
        schema = self.exercise.schema_of(self.folder, self.dataset)
        return self.exercise.rows(self.folder, schema, self.dataset.table)

    @property
    def versions(self) -> list[tuple[Any, ...]]:
        """Of an ``scd2`` table: id, name, and the days on which each began and ended."""
        found = [
            (values["id"], values["name"], _day(values["valid_from"]), _day(values["valid_to"]))
            for values in self.rows
        ]
        return sorted(found, key=repr)

    def load(self, units: Units, schema: TableSchema = SCHEMA, **options: Any) -> LoadResult:
        """Load rows onto what is there now."""
        return self.destination.commit(
            make_load(self.dataset, self.state, units, schema, **options)
        )

    def counts(self, units: Units, schema: TableSchema = SCHEMA, **options: Any) -> Accounting:
        """Load rows, and say where all of them went."""
        return total(list(self.load(units, schema, **options).counts.values()))

    def take(self, load: Load) -> Accounting:
        """Publish a load, and say where all its rows went."""
        return total(list(self.destination.commit(load).counts.values()))

    def holds(self, *rows: Row) -> bool:
        """Whether the table has these rows and no others."""
        return multiset(self.rows) == multiset(rows)


class Suite:
    """Tests of one destination."""

    exercise: ClassVar[Exercise]

    @contextmanager
    def _table(self, folder: Path, **fields: Any) -> Iterator[Table]:
        """A dataset named ``d`` in the destination."""
        with small_session() as session:
            yield Table(self.exercise, folder, session, DatasetSpec(name="d", **fields))


def _day(moment: datetime | None) -> int | None:
    return moment.astimezone(UTC).day if moment else None
