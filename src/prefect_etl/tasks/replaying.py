"""Loads the rows of one file of quarantine, as a task."""

from __future__ import annotations

from prefect.cache_policies import NO_CACHE

from prefect_etl.core.report import DatasetReport
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.decorators import task
from prefect_etl.pipeline.replay import replay_file


@task(name="replay", task_run_name="replay-{dataset}-{name}", cache_policy=NO_CACHE)
def replay_one(pipeline: str, run_id: str, dataset: str, name: str) -> DatasetReport:
    """Load what satisfies the contract now; a failure is a report.

    Args:
        pipeline: The pipeline, as the flow was given it.
        run_id: The run.
        dataset: The dataset's name.
        name: The file's name.
    """
    with open_run(pipeline, run_id) as run:
        return replay_file(run.workspace, dataset, name)
