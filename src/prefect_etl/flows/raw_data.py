"""Extracts datasets into the raw zone, as a flow."""

from __future__ import annotations

import asyncio
import time

from prefect_etl.core.manifest import Manifest
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport
from prefect_etl.core.unit import Batch
from prefect_etl.orchestration.active import ActiveRun, open_run
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.references import as_it_is
from prefect_etl.pipeline.extract import Extracted, extract_dataset
from prefect_etl.pipeline.run import failed
from prefect_etl.tasks.extraction import extract


@flow(name="extract_raw", validate_parameters=False)
async def extract_raw(
    pipeline: str, only: list[str] | None = None, run_id: str | None = None
) -> dict[str, Extracted | DatasetReport]:
    """Read what is new into the raw zone; nothing is published.

    Args:
        pipeline: Path of the pipeline file.
        only: Names of datasets; all if not given.
        run_id: The run that it is part of; one of its own if not given.

    Returns:
        By dataset: references to its batches, or the report of its failure.
    """
    with open_run(pipeline, run_id) as run, shared_client():
        plan = run.plan or await run.make_plan(only or ())
        todo = [dataset for dataset in plan.datasets if dataset.action == "load"]
        results = await asyncio.gather(*(_extract(pipeline, run, dataset) for dataset in todo))
        return {dataset.dataset: result for dataset, result in zip(todo, results, strict=True)}


async def _extract(pipeline: str, run: ActiveRun, plan: DatasetPlan) -> Extracted | DatasetReport:
    return await asyncio.to_thread(extract_in_tasks, pipeline, run, plan)


def extract_in_tasks(pipeline: str, run: ActiveRun, plan: DatasetPlan) -> Extracted | DatasetReport:
    """Extract one dataset, each batch in a task of the flow that calls."""

    def one(plan: DatasetPlan, batch: Batch) -> Manifest:
        return extract(pipeline, run.workspace.run_id, as_it_is(plan), as_it_is(batch))

    run.progress.started("extract", plan.dataset, plan.size)
    started = time.monotonic()
    rows = 0
    try:
        extracted = extract_dataset(run.workspace, plan, one)
        rows = sum(manifest.rows for manifest in extracted.manifests)
    except Exception as error:  # noqa: BLE001 - one dataset's failure must not stop the others
        return failed(run.workspace, plan.dataset, error)
    finally:
        run.progress.finished("extract", plan.dataset, rows, time.monotonic() - started)
    return extracted
