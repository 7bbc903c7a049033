from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from prefect_etl.connectors.postgres import ledger
from prefect_etl.connectors.postgres.connection import PostgresConnection
from prefect_etl.connectors.postgres.transforms.tables import PostgresTransforms
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.plan import TransformationPlan
from prefect_etl.core.report import TransformationReport
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.transform import Prepared, build, plan_transformations, prepare


class Project:
    """A folder with a database, whose datasets are loaded by a word."""

    def __init__(self, root: Path, uri: str, session: Session) -> None:
        self.root = root
        self.uri = uri
        self.session = session
        self.tables = PostgresTransforms(PostgresConnection.from_uri(uri, root), session)
        self.database = psycopg.connect(uri, autocommit=True)
        self.datasets: dict[str, DatasetSpec] = {}
        self.reports: dict[str, TransformationReport] = {}
        self._runs = 0

    def load(self, name: str, sql: str, schema: str = "public", pipeline: str = "test") -> None:
        """Load a dataset's table, as a version more than before."""
        self.datasets[name] = DatasetSpec(name=name, schema=schema)
        ledger.create_ledger(self.database)
        table = qualified(schema, name)
        with self.database.transaction():
            self.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}")
            self.execute(f"DROP TABLE IF EXISTS {table} CASCADE")
            self.execute(f"CREATE TABLE {table} AS {sql}")
            self.database.execute(
                "INSERT INTO _prefect_etl.tables AS t (table_schema, table_name, pipeline, "
                "dataset, version, lineage, next_unit_id, columns, fingerprint) "
                "VALUES (%s, %s, %s, %s, 1, 'lineage', 1, '[]', '') "
                "ON CONFLICT (table_schema, table_name) DO UPDATE SET version = t.version + 1",
                [schema, name, pipeline, name],
            )

    def execute(self, sql: str) -> None:
        """Do something to the database that no pipeline knows of."""
        self.database.execute(sql.encode())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return sorted(self.database.execute(sql.encode()).fetchall(), key=str)

    def types(self, table: str) -> dict[str, str]:
        """The columns of a table; none where there is no such table."""
        return dict(
            self.database.execute(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
                "ORDER BY attnum",
                [table],
            ).fetchall()
        )

    def write(self, path: str, text: str) -> None:
        (self.root / path).write_text(text, encoding="utf-8")

    def prepare(self, **specs: dict[str, Any]) -> tuple[Prepared, ...]:
        made = [TransformationSpec(name=name, **fields) for name, fields in specs.items()]
        datasets = list(self.datasets.values())
        snapshot = self.tables.snapshot()
        return prepare(made, self.root, datasets, self.tables, snapshot, pipeline="test")

    def plan(self, *, refresh: bool = False, **specs: Any) -> Sequence[TransformationPlan]:
        prepared = self.prepare(**specs)
        return plan_transformations(prepared, self.tables.snapshot(), refresh=refresh)

    def run(self, *, refresh: bool = False, **specs: Any) -> dict[str, tuple[str, ...]]:
        """Run what has to run; gives the reasons of those that ran, in their order."""
        self._runs += 1
        prepared = {part.name: part for part in self.prepare(**specs)}
        ran = {}
        for plan in self.plan(refresh=refresh, **specs):
            if plan.action != "skip":
                run_id = f"run{self._runs}"
                self.reports[plan.name] = build(
                    prepared[plan.name], self.tables, run_id, refresh=refresh
                )
                ran[plan.name] = plan.reasons
        return ran


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    session = Session(memory_limit="256MB", threads=1, wait=1)
    yield session
    session.close()


@pytest.fixture
def project(tmp_path: Path, pg_uri: str, session: Session) -> Iterator[Project]:
    project = Project(tmp_path, pg_uri, session)
    yield project
    project.database.close()
