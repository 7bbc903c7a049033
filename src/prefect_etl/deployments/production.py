"""The deployments of a pipeline, made from its settings: ``etl`` and the two flows inside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_etl.api import Pipeline
from prefect_etl.config.settings import Settings
from prefect_etl.deployments.deployment import Deployment
from prefect_etl.deployments.schedules import schedules_of
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.run import assert_known

# Where a worker imports them from; `from prefect_etl import flow` is what Prefect looks for there.
ENTRYPOINTS = {
    "etl": "prefect_etl.flows.main.etl",
    "extract_raw": "prefect_etl.flows.raw_data.extract_raw",
    "transform": "prefect_etl.flows.transformations.transform",
}
_COLLISIONS = {"wait": "ENQUEUE", "skip": "CANCEL_NEW"}


@dataclass(frozen=True, slots=True)
class Production:
    """All that a pipeline needs at a Prefect server to run on its own.

    Attributes:
        pipeline: The pipeline's name.
        deployments: One for each flow.
        crashed_after: Seconds of silence after which a run's process is dead; 0: never.
        late_after: Seconds that a run may be late before somebody is told.
        notify: The block that tells of crashed and late runs: type/name.
    """

    pipeline: str
    deployments: tuple[Deployment, ...]
    crashed_after: float
    late_after: float
    notify: str | None

    @property
    def work_pool(self) -> str:
        """The pool that the deployments' runs go to."""
        return self.deployments[0].work_pool

    @property
    def tag(self) -> str:
        """What all runs of the pipeline carry, those inside others too."""
        return tag_of(self.pipeline)

    @property
    def limit(self) -> str:
        """The name of the concurrency limit that all its flows share."""
        return f"prefect-etl pipeline {self.pipeline}"


def tag_of(pipeline: str) -> str:
    """The tag of a pipeline's runs.

    Example:
        >>> tag_of("shop")
        'pipeline:shop'
    """
    return f"pipeline:{pipeline}"


def production(path: str | Path, settings: Settings | None = None) -> Production:
    """What the settings say of a pipeline's deployments; nothing is sent anywhere.

    Args:
        path: The pipeline file.
        settings: Those of the file's folder if None.

    Raises:
        ConfigError: The pipeline file or the settings are wrong, or a schedule names a dataset
            that the pipeline does not have.
    """
    pipeline = Pipeline.load(path, settings)
    given = pipeline.settings.deployment
    for schedule in given.schedules:
        if schedule.pipeline in (None, pipeline.name):
            assert_known(pipeline.spec, schedule.parameters.get("only") or ())
    return Production(
        pipeline=pipeline.name,
        deployments=tuple(_deployment(flow, pipeline, Path(path)) for flow in ENTRYPOINTS),
        crashed_after=given.crashed_after,
        late_after=given.late_after,
        notify=given.notify,
    )


def _deployment(flow: str, pipeline: Pipeline, path: Path) -> Deployment:
    from importlib.metadata import version

    from prefect.flows import Flow
    from prefect.utilities.callables import parameter_schema
    from prefect.utilities.importtools import import_object

    given = pipeline.settings.deployment
    found: Flow[..., Any] = import_object(ENTRYPOINTS[flow])
    directory, file = _place(path, given.working_dir)
    return Deployment(
        flow=found.name,
        name=pipeline.name,
        entrypoint=ENTRYPOINTS[flow],
        description=(found.description or "").partition("\n\n")[0],
        version=given.version or version("prefect-etl"),
        parameters={"pipeline": file},
        directory=directory,
        schedules=schedules_of(flow, pipeline.name, given),
        tags=(tag_of(pipeline.name), *given.tags),
        work_pool=given.work_pool,
        collision=_COLLISIONS[given.collision],
        schema=_json(parameter_schema(found).model_dump(mode="json", exclude_unset=True)),
    )


def _place(path: Path, elsewhere: str | None) -> tuple[str, str]:
    """The project's folder where the runs happen, and the pipeline file relative to it."""
    if elsewhere is None:
        return str(path.resolve().parent), path.name
    if not Path(elsewhere).is_absolute():
        raise ConfigError(
            f"deployment.working_dir: {elsewhere} is not an absolute path",
            hint="It is a folder on the machines where the workers run.",
        )
    # Deployed from the project's folder, whatever that is called here.
    here, file = Path.cwd().resolve(), path.resolve()
    return elsewhere, str(file.relative_to(here)) if file.is_relative_to(here) else file.name


def _json(schema: Any) -> Mapping[str, Any]:
    """As the API gives it back: a difference there must be one."""
    import json

    value: Mapping[str, Any] = json.loads(json.dumps(schema))
    return value
