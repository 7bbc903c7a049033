"""A project in a temporary folder, run without Prefect."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.pipeline.planner import plan_dataset
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, Workspace, open_workspace


class Project:
    """One dataset ``t`` over the files of ``data/``, loaded into ``warehouse.duckdb``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = root / "data"
        self.data.mkdir()
        self.warehouse = root / "warehouse.duckdb"
        self.dataset: dict[str, Any] = {"path": "*.csv"}
        self.more: dict[str, dict[str, Any]] = {}
        self.transformations: dict[str, Any] = {}
        self.options: dict[str, Any] = {}
        self._clock = time.time() - 10_000

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file whose time lies in the past, each later than the one before."""
        path = self.data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        self._clock += 10
        os.utime(path, (self._clock, self._clock))
        return path

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        """The project as a workspace."""
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "files": {
                    "connection": "file://./data",
                    "datasets": {"t": self.dataset, **self.more},
                }
            },
            transformations=self.transformations,
            root=self.root,
        )
        with open_workspace(spec, Options(lock_timeout=5, **self.options)) as workspace:
            yield workspace

    def run(self, **how: Any) -> RunReport:
        """Run the pipeline."""
        with self.open() as workspace:
            return run_pipeline(workspace, **how)

    def load(self, **how: Any) -> DatasetReport:
        """Run the pipeline and give the report of ``t``, which must not have failed."""
        report = self.run(**how).datasets[0]
        assert report.status != "failed", f"{report.reason}\n{report.hint}"
        return report

    def fail(self, **how: Any) -> DatasetReport:
        """Run the pipeline and give the report of ``t``, which must have failed."""
        report = self.run(**how).datasets[0]
        assert report.status == "failed", report
        return report

    def plan(self, **how: Any) -> DatasetPlan:
        """Plan ``t``."""
        with self.open() as workspace:
            return plan_dataset(workspace, "t", **how)

    def rows(self, query: str = "SELECT * EXCLUDE (_etl_unit_id) FROM t") -> list[Any]:
        """Rows of the warehouse, sorted."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            rows = connection.execute(query).fetchall()
        return sorted(rows, key=lambda row: [(value is not None, value) for value in row])

    def types(self, table: str = "t") -> dict[str, str]:
        """Columns and types of a table."""
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            described = connection.execute(f'DESCRIBE "{table}"').fetchall()
        return {row[0]: row[1] for row in described}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
