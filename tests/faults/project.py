"""Projects of two datasets, one of which meets a fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace


class Project:
    """A folder ``data/faulty`` whose table is ``faulty``, and a sound one beside it."""

    def __init__(self, root: Path, path: str = "faulty", **options: Any) -> None:
        self.root = root
        self.folder = root / "data/faulty"
        self._spec = pipeline_from(
            name="faults",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "landing": {
                    "connection": "file://./data",
                    "datasets": {"faulty": {"path": path, **options}, "sound": {"path": "sound"}},
                }
            },
            root=root,
        )
        for folder in (self.folder, root / "data/sound"):
            folder.mkdir(parents=True, exist_ok=True)
        (root / "data/sound/a.csv").write_text("n\n1\n")

    @property
    def kept(self) -> Path:
        """Where the pipeline keeps raw zone and runs."""
        return self.root / ".prefect_etl/faults"

    def run(self, **options: Any) -> RunReport:
        options = {"concurrency": 1, "threads": 1, "lock_timeout": 0.2} | options
        with open_workspace(self._spec, Options(**options)) as workspace:
            return run_pipeline(workspace)

    def run_faulty(self) -> DatasetReport:
        """Run; what became of the dataset with the fault. The other one is always loaded."""
        faulty, sound = self.run().datasets
        assert sound.status in ("loaded", "unchanged")
        return faulty

    def rows(self) -> list[tuple[Any, ...]] | None:
        """What the table of the faulty dataset holds; None where it was never made."""
        import duckdb

        with duckdb.connect(str(self.root / "warehouse.duckdb"), read_only=True) as connection:
            tables = {name for (name,) in connection.execute("SHOW TABLES").fetchall()}
            assert "sound" in tables
            if "faulty" not in tables:
                return None
            return sorted(connection.execute("SELECT n, what FROM faulty").fetchall())
