"""Publishes one dataset, as a task."""

from __future__ import annotations

import time

from prefect.cache_policies import NO_CACHE

from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.recovery import is_retriable
from prefect_etl.pipeline.extract import Extracted
from prefect_etl.pipeline.load import load_dataset


@task(
    name="load",
    task_run_name="load-{plan.dataset}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
    retry_condition_fn=is_retriable,
)
def load(pipeline: str, run_id: str, plan: DatasetPlan, extracted: Extracted) -> DatasetReport:
    """Publish what was extracted, in one transaction of the destination.

    A retry is harmless: a load that was committed makes the next attempt lose the race for its
    version.

    Args:
        pipeline: The pipeline, as the flow was given it.
        run_id: The run.
        plan: The dataset's plan.
        extracted: References to its batches in the raw zone.
    """
    with open_run(pipeline, run_id) as run:
        run.progress.started("load", plan.dataset, 0)
        started = time.monotonic()
        rows = 0
        try:
            report = load_dataset(run.workspace, plan, extracted)
            rows = report.counts.read
            return report
        finally:
            run.progress.finished("load", plan.dataset, rows, time.monotonic() - started)
