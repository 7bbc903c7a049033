"""Shows a run's report where people look: an HTML file, and Prefect's UI."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from prefect.settings import PREFECT_API_URL

from prefect_etl.core.report import RunReport
from prefect_etl.errors import StorageError
from prefect_etl.orchestration.server.info import configured
from prefect_etl.pipeline.workspace import Workspace
from prefect_etl.reporting.html import report_html
from prefect_etl.reporting.markdown import report_rows
from prefect_etl.storage.durable import replace_file, storage_errors

logger = logging.getLogger(__name__)
_EARLIER_RUNS = 20


async def publish_report(workspace: Workspace, report: RunReport, flow_run_id: str) -> RunReport:
    """Write the report's HTML file and its artifact; gives it back with links to both."""
    if api := PREFECT_API_URL.value():
        links = {"prefect": configured(api).flow_run_url(flow_run_id)}
        report = replace(report, links=links)
    report = await asyncio.to_thread(_write, workspace, report)
    if not report.idle:
        await _show(report)
    return report


def _write(workspace: Workspace, report: RunReport) -> RunReport:
    path = workspace.reports / f"{report.run_id}.html"
    shown = replace(report, links={"report": str(path), **report.links})
    try:
        history = [r for r in workspace.log.latest(_EARLIER_RUNS) if r.run_id != report.run_id]
        with storage_errors("the report"):
            replace_file(path, report_html(shown, history), report.run_id)
        workspace.log.write(shown)
    except StorageError as error:  # the loads are published; a picture of them must not fail them
        logger.warning("%s", error)
        return report
    return shown


async def _show(report: RunReport) -> None:
    from prefect.artifacts import acreate_table_artifact

    try:
        await acreate_table_artifact(table=report_rows(report), key="etl-run")
    except Exception:  # whatever Prefect's client raised: a picture must not fail the run
        logger.warning("the run's summary could not be shown in Prefect", exc_info=True)
