"""The flow that loads rows from quarantine, a task a file."""

from __future__ import annotations

import asyncio

from prefect.runtime import flow_run

from prefect_etl.core.report import RunReport
from prefect_etl.errors import RunFailedError
from prefect_etl.orchestration.active import open_run
from prefect_etl.orchestration.clients import shared_client
from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.publishing import publish_report
from prefect_etl.pipeline.run import finish, logged
from prefect_etl.tasks.replaying import replay_one


@flow(name="replay", validate_parameters=False)
async def replay(pipeline: str, names: list[list[str]], run_id: str | None = None) -> RunReport:
    """Load what satisfies the contract now of some files of quarantine, one after the other.

    Args:
        pipeline: Path of the pipeline file.
        names: Dataset and name of each file.
        run_id: The run's id; a new one if not given.

    Raises:
        RunFailedError: Files failed; carries the report. The others were loaded.
    """
    with open_run(pipeline, run_id) as run, logged(run.workspace) as begun, shared_client():
        reports = [
            await asyncio.to_thread(replay_one, pipeline, run.workspace.run_id, dataset, name)
            for dataset, name in names
        ]
        report = await asyncio.to_thread(finish, run.workspace, begun, reports)
        report = await publish_report(run.workspace, report, str(flow_run.id))
        if report.failures:
            said = ", ".join(report.failures)
            raise RunFailedError(f"failed: {said}", hint="The report says why.", report=report)
        return report
