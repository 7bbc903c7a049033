"""Which flow run a call belongs to, where only Prefect's context says it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING
from uuid import UUID

from prefect_etl.utils.metrics import scopes
from prefect_etl.utils.metrics.runs import RunMetrics

if TYPE_CHECKING:
    from prefect.context import FlowRunContext, TaskRunContext

_elsewhere: dict[UUID, RunMetrics] = {}
_alone = False
_contexts: tuple[type[TaskRunContext], type[FlowRunContext]] | None = None
_last: tuple[UUID | None, RunMetrics | None] = None, None


def find() -> RunMetrics | None:
    """The run that Prefect's context says; None outside of flow runs."""
    global _contexts, _last  # noqa: PLW0603 - each call asks: what costs is remembered
    if _contexts is None:
        # Where Prefect was never imported there is no run of it, and no reason to wait for it.
        if "prefect.context" not in sys.modules:
            _export()
            return None
        from prefect.context import FlowRunContext, TaskRunContext

        _contexts = TaskRunContext, FlowRunContext
    task, flow = _contexts[0].get(), _contexts[1].get()
    flow_run_id = task.task_run.flow_run_id if task is not None else None
    if flow_run_id is None and flow is not None and flow.flow_run is not None:
        flow_run_id = flow.flow_run.id
    if flow_run_id is None:
        _export()
        return None
    last_id, last = _last
    if (
        flow_run_id is last_id and last is not None and not last.closed
    ):  # the hash of a UUID is slow
        return last
    run = scopes.opened(flow_run_id)
    if run is not None:
        _last = flow_run_id, run
        return run
    if flow is not None and flow.flow_run is not None and not flow.detached:
        return _of_plain_flow(flow)
    return _of_other_process(flow_run_id, task)


def _of_plain_flow(flow: FlowRunContext) -> RunMetrics | None:
    from prefect_etl.orchestration.metrics.plain import begin_untracked

    return begin_untracked(flow)


def _of_other_process(flow_run_id: UUID, task: TaskRunContext | None) -> RunMetrics:
    if (known := _elsewhere.get(flow_run_id)) is not None:
        return known
    from prefect_etl.config.settings import load_settings
    from prefect_etl.orchestration.metrics.elsewhere import part_of
    from prefect_etl.orchestration.metrics.record import RecordFolder

    place = RecordFolder.of(load_settings().home).exchange(flow_run_id)
    here = scopes.for_other_process(place) if place.is_dir() else scopes.inherited()
    if here is None:
        return part_of(flow_run_id, task)
    _elsewhere[flow_run_id] = here
    return here


def _export() -> None:
    global _alone  # noqa: PLW0603 - once a process
    if _alone or scopes.BORN_IN:
        return
    from prefect_etl.config.settings import load_settings
    from prefect_etl.orchestration.metrics.exporters import start_exporters

    start_exporters(load_settings())
    _alone = True
