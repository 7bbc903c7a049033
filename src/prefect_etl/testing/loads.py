"""Loads as the pipeline prepares them, for the tests of destinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from prefect_etl.connectors.base import Destination
from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult, LoadUnit
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.schema import TableSchema, evolve
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.testing.exercise import Exercise, Row, multiset

SCHEMA = TableSchema.of(id="BIGINT", name="VARCHAR", seen="INTEGER", gone="BOOLEAN")
Units = Mapping[str | Unit, Sequence[Row]]


def row(number: int, name: str | None = "a", seen: int | None = 1, *, gone: bool = False) -> Row:
    """A row of the tables that the tests load."""
    return {"id": number, "name": name, "seen": seen, "gone": gone}


def make_load(
    dataset: DatasetSpec,
    state: LedgerState,
    units: Units,
    schema: TableSchema = SCHEMA,
    *,
    refresh: bool = False,
) -> Load:
    """A load as the pipeline prepares it.

    Args:
        dataset: What is loaded.
        state: What the load extends.
        units: Rows by unit; text is a position, of version 1.
        schema: Of the rows.
        refresh: Begin from an empty table.
    """
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
    return Load(
        pipeline="conformance",
        dataset=dataset,
        state=state,
        evolution=evolution,
        units=load_units,
        rows=" UNION ALL ".join(parts) or nothing,
        batches=tuple(unit.batch_id for unit in load_units),
        run_id="run",
        lineage=None if refresh else state.lineage,
        refresh=refresh,
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

    def load(self, units: Units, schema: TableSchema = SCHEMA, **options: Any) -> LoadResult:
        """Load rows onto what is there now."""
        return self.destination.commit(
            make_load(self.dataset, self.state, units, schema, **options)
        )

    def counts(self, units: Units, schema: TableSchema = SCHEMA, **options: Any) -> Accounting:
        """Load rows, and say where all of them went."""
        return total(list(self.load(units, schema, **options).counts.values()))

    def holds(self, *rows: Row) -> bool:
        """Whether the table has these rows and no others."""
        return multiset(self.rows) == multiset(rows)


def random_dataset(random: Random, name: str) -> DatasetSpec:
    """A dataset of any write mode."""
    write = random.choice(["append", "replace", "merge", "merge", "merge"])
    merge = write == "merge"
    return DatasetSpec(
        name=name,
        write=write,
        key=random.choice(["id", ("id", "name")]) if merge else (),
        cursor=random.choice(["seen", None]),
        deleted_when=random.choice(["gone", None]) if merge else None,
    )


def random_units(random: Random) -> dict[str | Unit, list[Row]]:
    """Few keys and few cursors, so that they meet; some units are new versions."""
    positions = random.sample(["a", "b", "c"], random.randint(1, 2))
    return {
        Unit(position, str(random.random())): [
            row(
                random.randint(1, 4),
                random.choice(["a", "b"]),
                random.choice([None, 1, 2, 3, 4, 5]),
                gone=random.random() < 0.3,
            )
            for _ in range(random.randint(0, 5))
        ]
        for position in positions
    }
