"""Reads one batch of a dataset into the raw zone, as a task."""

from __future__ import annotations

from prefect.cache_policies import NO_CACHE

from prefect_etl.core.manifest import Manifest
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.unit import Batch
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.recovery import is_retriable
from prefect_etl.pipeline.extract import extract_batch


# The raw zone is the cache: a batch that it holds is not read again, by any run on any machine.
@task(
    name="extract",
    task_run_name="extract-{plan.dataset}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=is_retriable,
)
def extract(pipeline: str, run_id: str, plan: DatasetPlan, batch: Batch) -> Manifest:
    """Read one batch into the raw zone.

    Args:
        pipeline: The pipeline, as the flow was given it.
        run_id: The run.
        plan: The dataset's plan.
        batch: What to read.

    Returns:
        A reference: the batch's manifest.
    """
    with open_run(pipeline, run_id) as run:
        manifest = extract_batch(run.workspace, plan, batch)
        run.progress.advanced("extract", plan.dataset, batch.size, manifest.rows)
        return manifest
