"""Makes the table of one transformation, as a task."""

from __future__ import annotations

from prefect.cache_policies import NO_CACHE

from prefect_etl.core.report import TransformationReport
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.recovery import is_retriable
from prefect_etl.pipeline.transform import Prepared
from prefect_etl.pipeline.transformations import build_transformation


@task(
    name="build",
    task_run_name="build-{prepared.name}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=is_retriable,
)
def build(
    pipeline: str, run_id: str, prepared: Prepared, *, refresh: bool = False
) -> TransformationReport:
    """Compute a transformation, check the result, publish it.

    Args:
        pipeline: The pipeline, as the flow was given it.
        run_id: The run.
        prepared: The transformation.
        refresh: Replace an incremental table instead of merging into it.
    """
    with open_run(pipeline, run_id) as run:
        return build_transformation(run.workspace, prepared, run.progress, refresh=refresh)
