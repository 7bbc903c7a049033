"""The flow that loads windows of the past, each as a run of its own, several at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Lock

from prefect_etl.core.cursor import Window
from prefect_etl.core.report import DatasetReport, RunReport
from prefect_etl.errors import RunFailedError
from prefect_etl.flows.main import task_steps
from prefect_etl.orchestration.active import ActiveRun, open_run
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.decorators import flow
from prefect_etl.pipeline.backfill import run_window
from prefect_etl.pipeline.run import finish, logged


@flow(name="backfill", validate_parameters=False)
async def backfill(
    pipeline: str,
    dataset: str,
    windows: list[list[str]],
    limit: int = 2,
    run_id: str | None = None,
) -> RunReport:
    """Load windows of a dataset.

    Args:
        pipeline: Path of the pipeline file.
        dataset: The dataset's name.
        windows: First value, and the value after the last one, of each.
        limit: How many are loaded at a time.
        run_id: The run's id; a new one if not given.

    Raises:
        RunFailedError: Windows failed; carries the report. The others were published.
    """
    with open_run(pipeline, run_id) as run, logged(run.workspace) as begun, shared_client():
        reports = await _load_all(pipeline, run, dataset, windows, limit)
        report = await asyncio.to_thread(finish, run.workspace, begun, reports)
        broken = [part.window for part in reports if part.status == "failed"]
        if broken:
            raise RunFailedError(
                f"{len(broken)} of {len(windows)} windows of {dataset} failed: {broken[0]}"
                f"{', …' if len(broken) > 1 else ''}",
                hint="Run the same command again: it loads what is missing.",
                report=report,
            )
        return report


async def _load_all(
    pipeline: str, run: ActiveRun, dataset: str, windows: Sequence[Sequence[str]], limit: int
) -> list[DatasetReport]:
    places = asyncio.Semaphore(limit)
    _PUBLISHING[run.workspace.run_id] = Lock()

    async def one(start: str, end: str) -> DatasetReport:
        async with places:
            named = backfill_window.with_options(flow_run_name=f"{dataset} {start} to {end}")
            try:
                return await named(pipeline, run.workspace.run_id, dataset, start, end)
            except RunFailedError as error:
                if isinstance(error.report, DatasetReport):
                    return error.report
                raise

    try:
        return list(await asyncio.gather(*(one(start, end) for start, end in windows)))
    finally:
        del _PUBLISHING[run.workspace.run_id]


# The windows of one run, by its id, publish in turns.
_PUBLISHING: dict[str, Lock] = {}


@flow(name="backfill_window", validate_parameters=False)
async def backfill_window(
    pipeline: str, run_id: str, dataset: str, start: str, end: str
) -> DatasetReport:
    """Load one window of a dataset.

    Args:
        pipeline: Path of the pipeline file.
        run_id: The run that it is part of.
        dataset: The dataset's name.
        start: The first value of its cursor.
        end: The value after the last one.

    Raises:
        RunFailedError: It failed; carries the report.
    """
    with open_run(pipeline, run_id) as run:
        publishing = _PUBLISHING.get(run_id) or Lock()
        window = Window(start, end, open=True)
        steps = task_steps(pipeline, run)
        report = await asyncio.to_thread(
            run_window, run.workspace, dataset, window, steps, publishing
        )
        if report.status == "failed":
            raise RunFailedError(report.reason, hint=report.hint, report=report)
        return report
