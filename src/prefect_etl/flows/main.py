"""The main flow: extract, load, transform, report."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

from prefect.runtime import flow_run

from prefect_etl.core.manifest import Manifest
from prefect_etl.core.plan import DatasetPlan
from prefect_etl.core.report import DatasetReport, RunReport, TransformationReport
from prefect_etl.core.unit import Batch
from prefect_etl.errors import RunFailedError
from prefect_etl.flows.raw_data import extract_raw
from prefect_etl.flows.transformations import transform
from prefect_etl.orchestration.active import ActiveRun, open_run
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.publishing import publish_report
from prefect_etl.orchestration.references import as_it_is
from prefect_etl.pipeline.extract import Extracted
from prefect_etl.pipeline.run import Steps, finish, logged, run_dataset
from prefect_etl.pipeline.transform import Prepared
from prefect_etl.pipeline.transformations import run_transformations
from prefect_etl.tasks.extraction import extract
from prefect_etl.tasks.loading import load


@flow(name="etl", validate_parameters=False)
async def etl(
    pipeline: str,
    only: list[str] | None = None,
    full_refresh: bool = False,
    run_id: str | None = None,
) -> RunReport:
    """Run a pipeline: what is new goes into the tables, and what reads them is built again.

    Args:
        pipeline: Path of the pipeline file.
        only: Names of datasets and transformations; all if not given.
        full_refresh: Load datasets anew.
        run_id: The run's id; a new one if not given.

    Raises:
        RunFailedError: Parts failed; carries the report. The others were published.
    """
    with open_run(pipeline, run_id) as run, logged(run.workspace) as begun:
        plan = await run.make_plan(only or (), refresh=full_refresh)
        with nullcontext() if plan.empty else shared_client():
            extracted: dict[str, Extracted | DatasetReport] = {}
            if any(dataset.action == "load" for dataset in plan.datasets):
                extracted = await extract_raw(pipeline, run_id=run.workspace.run_id)
            reports = await asyncio.gather(
                *(_load(pipeline, run, dataset, extracted) for dataset in plan.datasets)
            )
            built = await _transform(pipeline, run, reports, full_refresh)
        report = await asyncio.to_thread(finish, run.workspace, begun, reports, built)
        report = await publish_report(run.workspace, report, str(flow_run.id))
        if report.failures:
            names = ", ".join(report.failures)
            raise RunFailedError(f"failed: {names}", hint="The report says why.", report=report)
        return report


async def _load(
    pipeline: str,
    run: ActiveRun,
    plan: DatasetPlan,
    extracted: dict[str, Extracted | DatasetReport],
) -> DatasetReport:
    found = extracted.get(plan.dataset)
    if isinstance(found, DatasetReport):
        return found
    return await asyncio.to_thread(
        run_dataset, run.workspace, plan, task_steps(pipeline, run), found
    )


async def _transform(
    pipeline: str, run: ActiveRun, datasets: list[DatasetReport], full_refresh: bool
) -> list[TransformationReport]:
    plans = run.plan.transformations if run.plan else ()
    failed = [report.dataset for report in datasets if report.status == "failed"]
    if any(plan.action == "run" for plan in plans):
        return await transform(
            pipeline, full_refresh=full_refresh, run_id=run.workspace.run_id, failed=failed
        )
    return run_transformations(run.workspace, plans, failed, not_needed)


def not_needed(prepared: Prepared) -> TransformationReport:
    """Stands where nothing is planned to be built."""
    raise AssertionError(f"{prepared.name} was not planned")


def task_steps(pipeline: str, run: ActiveRun) -> Steps:
    """The steps of a dataset as tasks of the flow that calls."""
    run_id = run.workspace.run_id

    def extract_one(plan: DatasetPlan, batch: Batch) -> Manifest:
        return extract(pipeline, run_id, as_it_is(plan), as_it_is(batch))

    def load_all(plan: DatasetPlan, extracted: Extracted) -> DatasetReport:
        return load(pipeline, run_id, as_it_is(plan), as_it_is(extracted))

    return Steps(extract_one, load_all)
