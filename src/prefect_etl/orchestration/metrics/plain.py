"""Flow runs that did not ask for metrics and call them: recorded from the first call to the end."""

from __future__ import annotations

import asyncio
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from prefect_etl.orchestration.metrics.flow_runs import PATIENCE, begin, finishing, measured_run
from prefect_etl.orchestration.metrics.record import Outcome
from prefect_etl.utils.metrics.runs import RunMetrics

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.context import FlowRunContext

_hooked: WeakSet[Flow[..., Any]] = WeakSet()


def begin_untracked(context: FlowRunContext) -> RunMetrics | None:
    """Record this flow run, whose end Prefect's own hooks tell.

    Raises:
        ConfigError: The settings are wrong.
    """
    flow = context.flow
    measured = begin(context, tracked=False)
    if flow is None or measured is None:
        return None
    if flow not in _hooked:
        _hooked.add(flow)
        for register in (
            *(flow.on_completion, flow.on_failure, flow.on_crashed, flow.on_cancellation),
        ):
            register(keep_metrics)
    return measured.run


def keep_metrics(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> Any:
    """What Prefect calls when the run is over."""
    measured = measured_run(flow_run.id)
    if measured is None or measured.tracked:
        return None
    done = finishing(measured, _outcome(state))
    if flow.isasync:
        return _wait(done)
    wait([done], PATIENCE)
    return None


async def _wait(done: Any) -> None:
    await asyncio.wait([asyncio.wrap_future(done)], timeout=PATIENCE)


def _outcome(state: State[Any]) -> Outcome:
    if state.is_completed():
        return "completed"
    if state.is_crashed():
        return "crashed"
    return "cancelled" if state.is_cancelled() or state.is_cancelling() else "failed"
