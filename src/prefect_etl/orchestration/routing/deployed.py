"""Runs a deployment with a dataset: the data by reference, the run by its content."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect import Task
from prefect.client.schemas.objects import FlowRun, State
from prefect.context import AsyncClientContext, FlowRunContext
from prefect.exceptions import MissingResult, ObjectNotFound
from prefect.states import Pending, Scheduled

from prefect_etl.core.frames import is_lazy
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.routing.reference import FrameReference, remove_frame, write_frame
from prefect_etl.orchestration.routing.siblings import siblings_in

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.client.schemas.responses import DeploymentResponse

_SOONEST, _LATEST, _SLOWER = 0.25, 5.0, 1.5


async def run_deployed(name: str, data: Any) -> Any:
    """Run a deployment with data as its flow's first parameter, and give its result.

    A retry of the run around finds the deployment's run again: finished, its result comes back;
    running, it is waited for; failed, it runs anew.

    Args:
        name: ``flow/deployment``.
        data: A frame, or what has an exact form.

    Raises:
        ConfigError: There is no such deployment, or its flow keeps no result.
        Exception: What the deployed flow raised.
    """
    data = await asyncio.to_thread(_computed, data)
    place = await asyncio.to_thread(_place, name, data)
    async with AsyncClientContext.get_or_create() as context:
        client = context.client
        deployment = await _read(client, name)
        reference = await asyncio.to_thread(write_frame, data, place.file)
        parameters = {_first_parameter(name, deployment): reference.as_parameter()}
        tracking = await _tracking_run(client, name, place)
        for again in itertools.count():
            run = await client.create_flow_run_from_deployment(
                deployment.id,
                parameters=parameters,
                state=Scheduled(),
                idempotency_key=f"{place.key}-{again}",
                parent_task_run_id=tracking,
            )
            # One that has failed is from an earlier attempt: a new one is not over yet.
            if not (run.state and run.state.is_final() and not run.state.is_completed()):
                break
        state = await _final(client, run)
    return await _result(name, run, state, reference)


@dataclass(frozen=True)
class _Place:
    """Which call this is, the same in each attempt of the run around."""

    key: str
    number: int
    parent: FlowRunContext | None

    @property
    def file(self) -> str:
        return f"{self.key}.frame"


def _place(name: str, data: Any) -> _Place:
    parent = FlowRunContext.get()
    if parent is None or parent.flow_run is None:
        return _Place(uuid4().hex, 0, None)
    from prefect_etl.core.fingerprint import FingerprintError, fingerprint

    try:
        content = fingerprint((name, data))
    except FingerprintError:
        content = uuid4().hex
    key, number = siblings_in(parent).call(name, content, parent.flow_run.run_count)
    # The deployment's name has a slash, and the key names a file.
    return _Place(f"{parent.flow_run.id}-{key.replace('/', '-')}", number, parent)


def _computed(data: Any) -> Any:
    return data.collect() if is_lazy(data) else data


async def _read(client: PrefectClient, name: str) -> DeploymentResponse:
    try:
        return await client.read_deployment_by_name(name)
    except (ObjectNotFound, ValueError) as error:
        raise ConfigError(
            f"there is no deployment {name!r}",
            hint="Give it as flow/deployment; `prefect deployment ls` lists them.",
        ) from error


def _first_parameter(name: str, deployment: DeploymentResponse) -> str:
    schema: Mapping[str, Any] = deployment.parameter_openapi_schema or {}
    properties: Mapping[str, Any] = schema.get("properties", {})
    if not properties:
        raise ConfigError(f"the flow of deployment {name!r} takes no parameter for the data")
    return min(properties, key=lambda parameter: properties[parameter].get("position", 0))


async def _tracking_run(client: PrefectClient, name: str, place: _Place) -> Any:
    """The task run that stands for the deployment's run in the run around."""
    if place.parent is None or place.parent.flow_run is None:
        return None
    task = Task(fn=_stands_for_a_deployment, name=name)
    run = await client.create_task_run(
        task=task,
        flow_run_id=place.parent.flow_run.id,
        dynamic_key=place.key,
        name=f"{name}-{place.number}",
        state=Pending(),
    )
    return run.id


def _stands_for_a_deployment() -> None:
    """Is never called."""


async def _final(client: PrefectClient, run: FlowRun) -> State[Any]:
    pause = _SOONEST
    while not (run.state and run.state.is_final()):
        await asyncio.sleep(pause)
        pause = min(_LATEST, pause * _SLOWER)
        run = await client.read_flow_run(run.id)
    return run.state


async def _result(name: str, run: FlowRun, state: State[Any], reference: FrameReference) -> Any:
    if state.is_completed() and state.data is None:
        raise ConfigError(
            f"flow run {run.name!r} of deployment {name!r} is done, but kept no result",
            hint="Write its flow with @flow(persist_result=True).",
        )
    try:
        result = await state.aresult()
    except MissingResult as error:
        raise ConfigError(
            f"the result of flow run {run.name!r} of deployment {name!r} cannot be read: {error}",
            hint="Give both flows a result_storage that all machines reach, such as a bucket.",
        ) from error
    await asyncio.to_thread(remove_frame, reference)
    return result
