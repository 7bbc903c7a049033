from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.duckdb import ledger as duckdb_ledger
from prefect_etl.connectors.duckdb.transform import DuckDBTransforms
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.plan import TransformationPlan
from prefect_etl.core.report import TransformationReport
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.transform import Prepared, build, plan_transformations, prepare


class Project:
    """A folder with a warehouse, whose datasets are loaded by a word."""

    def __init__(self, root: Path, session: Session) -> None:
        self.root = root
        self.path = root / "warehouse.duckdb"
        self.session = session
        self.tables = DuckDBTransforms(self.path, session)
        self.datasets: dict[str, DatasetSpec] = {}
        self.reports: dict[str, TransformationReport] = {}
        self._runs = 0

    def load(self, name: str, sql: str, schema: str = "main", pipeline: str = "test") -> None:
        """Load a dataset's table, as a version more than before."""
        self.datasets[name] = DatasetSpec(name=name, schema=schema)
        with self.session.attached(self.path, read_only=False) as cursor:
            duckdb_ledger.create_ledger(cursor)
            cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
            cursor.execute(f"CREATE OR REPLACE TABLE {qualified(schema, name)} AS {sql}")
            this = "WHERE table_schema = ? AND table_name = ?"
            found = cursor.execute(
                f"SELECT max(version) FROM _prefect_etl.tables {this}", [schema, name]
            ).fetchone()
            version = (found[0] or 0) + 1
            cursor.execute(f"DELETE FROM _prefect_etl.tables {this}", [schema, name])
            cursor.execute(
                "INSERT INTO _prefect_etl.tables (table_schema, table_name, pipeline, dataset, "
                "version, lineage, next_unit_id, columns, fingerprint) "
                "VALUES (?, ?, ?, ?, ?, 'lineage', 1, '[]', '')",
                [schema, name, pipeline, name, version],
            )

    def execute(self, sql: str) -> list[tuple[Any, ...]]:
        """Do something to the warehouse that no pipeline knows of."""
        with self.session.attached(self.path, read_only=False) as cursor:
            return cursor.execute(sql).fetchall()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.session.attached(self.path, read_only=True) as cursor:
            return sorted(cursor.execute(sql).fetchall(), key=str)

    def types(self, table: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in self.rows(f"DESCRIBE {table}")}

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def prepare(self, **specs: dict[str, Any]) -> tuple[Prepared, ...]:
        made = [TransformationSpec(name=name, **fields) for name, fields in specs.items()]
        datasets = list(self.datasets.values())
        snapshot = self.tables.snapshot()
        return prepare(made, self.root, datasets, self.tables, snapshot, pipeline="test")

    def plan(
        self, will_change: Sequence[str] = (), *, refresh: bool = False, **specs: dict[str, Any]
    ) -> dict[str, TransformationPlan]:
        snapshot = self.tables.snapshot()
        prepared = self.prepare(**specs)
        plans = plan_transformations(prepared, snapshot, will_change, refresh=refresh)
        return {plan.name: plan for plan in plans}

    def run(self, *, refresh: bool = False, **specs: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        """Run what has to run; gives the reasons of those that ran, in their order."""
        self._runs += 1
        plans = self.plan(refresh=refresh, **specs)
        prepared = {part.name: part for part in self.prepare(**specs)}
        ran = {}
        for name, plan in plans.items():
            if plan.action != "skip":
                run_id = f"run{self._runs}"
                self.reports[name] = build(prepared[name], self.tables, run_id, refresh=refresh)
                ran[name] = plan.reasons
        return ran


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(memory_limit="256MB", threads=1)
    yield session
    # Nothing staged may be left behind, whatever happened.
    left = session.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'memory'")
    session.close()
    assert left == []


@pytest.fixture
def project(tmp_path: Path, session: Session) -> Project:
    return Project(tmp_path, session)
