"""A destination under attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_etl.connectors.memory import store
from prefect_etl.core.report import DatasetReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace
from prefect_etl.testing.exercise import Exercise


@dataclass
class Target:
    """A destination under attack."""

    exercise: Exercise
    folder: Path

    @property
    def name(self) -> str:
        return type(self.exercise).__name__.lower()

    def load(
        self, datasets: Mapping[str, Mapping[str, Any]], frames: Mapping[str, Any]
    ) -> Sequence[DatasetReport]:
        """Load frames of memory; a dataset reads the one that its ``table`` names."""
        shop = store("attack")
        shop.frames.clear()
        for name, rows in frames.items():
            shop.put(name, rows)
        spec = pipeline_from(
            name="attack",
            destination=self.exercise.uri(self.folder),
            sources={"m": {"connection": "memory://attack", "datasets": datasets}},
            root=self.folder,
        )
        with open_workspace(spec, Options(lock_timeout=5)) as workspace:
            return run_pipeline(workspace).datasets

    def rows(self, table: str) -> list[dict[str, Any]]:
        connection = self.exercise.connector.connection
        schema = connection.from_uri(self.exercise.uri(self.folder), self.folder).default_schema
        return self.exercise.rows(self.folder, schema, table)

    def is_unharmed(self) -> bool:
        """Whether the canary is as it was."""
        return sorted(row["id"] for row in self.rows("canary")) == [0, 1, 2]
