"""Runs a child flow in its parent's process, as the run that its content says it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import Future
from typing import Any, Literal, NamedTuple, cast
from uuid import uuid4

from prefect import Flow
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import AsyncClientContext, FlowRunContext, SyncClientContext, TagsContext
from prefect.states import Pending
from prefect.utilities.callables import get_call_parameters
from prefect.utilities.visualization import get_task_viz_tracker

from prefect_etl.orchestration.routing.heartbeat import run_sync
from prefect_etl.orchestration.routing.identity import Call, Child
from prefect_etl.orchestration.routing.siblings import Kept, Outcome, forget

logger = logging.getLogger(__name__)


def call_flow(
    flow: Flow[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    return_state: bool = False,
    wait_for: Any = None,
) -> Any:
    """Call a flow as ``Flow.__call__`` does; a child is told from its siblings by its content.

    Args:
        flow: Any flow of Prefect's; those that yield are left to Prefect.
        args: Its positional arguments.
        kwargs: Its named arguments.
        return_state: Give the final state, not the result.
        wait_for: Futures to wait for.
    """
    if get_task_viz_tracker() or flow.isgenerator:
        return Flow.__call__(flow, *args, return_state=return_state, wait_for=wait_for, **kwargs)
    parameters = get_call_parameters(flow.fn, args, kwargs)
    wanted: Literal["state", "result"] = "state" if return_state else "result"
    parent = FlowRunContext.get()
    if parent is not None and parent.flow_run is not None:
        call = Call(flow, parameters, parent, wanted, wait_for)
        return _child_async(call) if flow.isasync else _child_sync(call)
    if flow.isasync:
        from prefect.flow_engine import run_flow

        return run_flow(flow, parameters=parameters, wait_for=wait_for, return_type=wanted)
    return run_sync(flow, parameters, wait_for=wait_for, return_type=wanted)


def _child_sync(call: Call) -> Any:
    child = call.claim(call.content() if call.sought else uuid4().hex)
    earlier = child.earlier
    if earlier is not None and (kept := earlier.settled.result()):
        return _again(child, kept)
    with child.begin() as outcome, SyncClientContext.get_or_create() as context:
        client = context.client
        task_run = client.create_task_run(**child.tracking_run)
        runs = client.read_flow_runs(**_of(task_run)) if call.attempt > 1 else []
        found = _found(task_run, runs)
        if found.finished is not None and (kept := _loaded(call, found.finished)):
            return _again(child, kept, outcome)
        flow_run = found.flow_run or client.create_flow_run(**_new_run(call, task_run))
        try:
            result = run_sync(
                call.flow,
                call.parameters,
                flow_run=flow_run,
                wait_for=call.wait_for,
                return_type=call.wanted,
            )
        finally:
            forget(flow_run.id)
        outcome.finish(result)
        return result


async def _child_async(call: Call) -> Any:
    from prefect.flow_engine import run_flow

    content = await asyncio.to_thread(call.content) if call.sought else uuid4().hex
    child = call.claim(content)
    earlier = child.earlier
    if earlier is not None and (kept := await _settled(earlier.settled)):
        return _again(child, kept)
    with child.begin() as outcome:
        async with AsyncClientContext.get_or_create() as context:
            client = context.client
            task_run = await client.create_task_run(**child.tracking_run)
            runs = await client.read_flow_runs(**_of(task_run)) if call.attempt > 1 else []
            found = _found(task_run, runs)
            if found.finished is not None:
                kept = await asyncio.to_thread(_loaded, call, found.finished)
                if kept:
                    return _again(child, kept, outcome)
            flow_run = found.flow_run or await client.create_flow_run(**_new_run(call, task_run))
            try:
                running = run_flow(
                    call.flow,
                    flow_run=flow_run,
                    parameters=call.parameters,
                    wait_for=call.wait_for,
                    return_type=call.wanted,
                )
                result = await cast("Awaitable[Any]", running)
            finally:
                forget(flow_run.id)
        outcome.finish(result)
        return result


async def _settled(outcome: Future[Kept | None]) -> Kept | None:
    # What an earlier attempt has left running goes on, if the wait for it is given up.
    return await asyncio.shield(asyncio.wrap_future(outcome))


def _again(child: Child, kept: Kept, outcome: Outcome | None = None) -> Any:
    child.reused()
    if outcome is not None:
        outcome.settled.set_result(kept)
    return kept.again()


def _new_run(call: Call, task_run: TaskRun) -> dict[str, Any]:
    return {
        "flow": call.flow,
        "parameters": call.flow.serialize_parameters(call.parameters),
        "state": Pending(),
        "parent_task_run_id": task_run.id,
        "tags": TagsContext.get().current_tags,
    }


def _of(task_run: TaskRun) -> dict[str, Any]:
    return {
        "flow_run_filter": FlowRunFilter(parent_task_run_id={"any_": [task_run.id]}),
        "sort": FlowRunSort.EXPECTED_START_TIME_DESC,
        "limit": 1,
    }


class _Found(NamedTuple):
    """What earlier attempts, also in other processes, have left of a child."""

    finished: State[Any] | None = None
    flow_run: FlowRun | None = None


def _found(task_run: TaskRun, runs: list[FlowRun]) -> _Found:
    if not runs or runs[0].state is None:
        return _Found()
    state = runs[0].state
    if state.is_completed():
        return _Found(finished=state if state.data is not None else None)
    if state.is_final() or (task_run.state and task_run.state.is_final()):
        return _Found()
    # Its process died: the same run goes on, as Prefect has it.
    return _Found(flow_run=runs[0])


def _loaded(call: Call, state: State[Any]) -> Kept | None:
    if call.wanted == "state":
        return Kept(state)
    try:
        return Kept(state.result(_sync=True))  # type: ignore[call-overload]
    except Exception as error:  # noqa: BLE001 - whatever storage raises: the child runs again
        logger.warning(
            "The result of child flow %r, finished in an earlier attempt, cannot be read (%s): "
            "it runs again.",
            call.flow.name,
            error,
        )
        return None
