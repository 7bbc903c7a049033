"""What a deployment is, as a value, and how Prefect's API spells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SET_DIRECTORY = "prefect.deployments.steps.set_working_directory"
# Prefect's least. Its default, three minutes, makes a dead process known after nine.
HEARTBEAT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a flow runs, in Prefect's spelling.

    Attributes:
        when: ``cron`` or ``interval`` and ``anchor_date``, with ``timezone``.
        parameters: What the flow is told in addition.
    """

    when: Mapping[str, Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One flow of one pipeline, ready to be run by others.

    Attributes:
        flow: The flow's name.
        name: The pipeline's name.
        entrypoint: The flow's module path, which a worker in any folder can import.
        parameters: What every run is told: the pipeline file, relative to ``directory``.
        directory: The project's folder where the runs happen.
        schedules: When it runs on its own.
        collision: What becomes of a run that comes while the pipeline runs, in Prefect's words.
        schema: The flow's parameters as a JSON Schema.
    """

    flow: str
    name: str
    entrypoint: str
    description: str
    version: str
    parameters: Mapping[str, Any]
    directory: str
    schedules: tuple[Schedule, ...]
    tags: tuple[str, ...]
    work_pool: str
    collision: str
    schema: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        """What Prefect's commands call it.

        Example: ``etl/shop``.
        """
        return f"{self.flow}/{self.name}"

    @property
    def pull_steps(self) -> list[dict[str, Any]]:
        """What is done before a run: go to the project's folder."""
        return [{SET_DIRECTORY: {"directory": self.directory}}]

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the runs' processes; no secrets, which are the workers' own."""
        return {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS)}
