"""Builds the transformations that have to be built, as a flow."""

from __future__ import annotations

import asyncio

from prefect_etl.core.report import TransformationReport
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.references import as_it_is
from prefect_etl.pipeline.transform import Prepared
from prefect_etl.pipeline.transformations import run_transformations
from prefect_etl.tasks.transformation import build


@flow(name="transform", validate_parameters=False)
async def transform(
    pipeline: str,
    only: list[str] | None = None,
    full_refresh: bool = False,
    run_id: str | None = None,
    failed: list[str] | None = None,
) -> list[TransformationReport]:
    """Build what has to be built, in order; what depends on a failure is skipped.

    Args:
        pipeline: Path of the pipeline file.
        only: Names of transformations; all if not given.
        full_refresh: Build all anew.
        run_id: The run that it is part of; one of its own if not given.
        failed: Names of datasets that failed in this run.
    """
    with open_run(pipeline, run_id) as run, shared_client():
        workspace = run.workspace
        plan = run.plan or await run.make_plan(only or (), refresh=full_refresh)

        def build_one(prepared: Prepared) -> TransformationReport:
            return build(pipeline, workspace.run_id, as_it_is(prepared), refresh=full_refresh)

        return await asyncio.to_thread(
            run_transformations, workspace, plan.transformations, failed or (), build_one
        )
