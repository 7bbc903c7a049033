"""Makes a Prefect server have what a pipeline's production says, and tells what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from prefect_etl.deployments.answers import translated
from prefect_etl.deployments.automations import automations_of
from prefect_etl.deployments.deployment import Deployment
from prefect_etl.deployments.production import Production
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.events.schemas.automations import Automation

Action = Literal["created", "updated", "removed", "unchanged"]
_TOPICS = ("runs of dead processes", "late runs", "crashed and failed runs")


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one thing at the server, or would become in a dry run.

    Attributes:
        kind: ``work pool``, ``limit``, ``deployment`` or ``automation``.
        name: Its name there.
        action: What was done.
        fields: What of it changed.
        id: Its id; None where a dry run would make it.
        note: What the user should know of it.
    """

    kind: str
    name: str
    action: Action
    fields: tuple[str, ...] = ()
    id: UUID | None = None
    note: str = ""


async def apply(production: Production, *, served: bool = False, dry: bool = False) -> list[Change]:
    """Create and update what differs; a second time nothing does.

    Args:
        production: What there should be.
        served: The runs are for a process that serves them: no work pool.
        dry: Only say what would change.

    Raises:
        ConfigError: The notification block does not exist.
        Retriable: The server does not answer.
        Fatal: It refused.
    """
    with translated():
        return await _apply(production, served=served, dry=dry)


async def _apply(production: Production, *, served: bool, dry: bool) -> list[Change]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        changes = [] if served else [await _work_pool(client, production.work_pool, dry=dry)]
        block = await _block(client, production.notify)
        limit = await _limit(client, production.limit, dry=dry)
        changes.append(limit)
        for deployment in production.deployments:
            wanted = replace(deployment, work_pool="") if served else deployment
            changes.append(await _deployment(client, wanted, limit, dry=dry))
        changes += await _automations(client, production, block, dry=dry)
    return changes


async def _work_pool(client: PrefectClient, name: str, *, dry: bool) -> Change:
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectNotFound

    try:
        pool = await client.read_work_pool(name)
    except ObjectNotFound:
        if dry:
            return Change("work pool", name, "created")
        from prefect.workers.process import ProcessWorker

        template = ProcessWorker.get_default_base_job_template()
        pool = await client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template)
        )
        return Change("work pool", name, "created", id=pool.id)
    note = "it is paused: no run starts" if pool.is_paused else ""
    return Change("work pool", name, "unchanged", id=pool.id, note=note)


async def _limit(client: PrefectClient, name: str, *, dry: bool) -> Change:
    """One slot that the three flows share: one run of the pipeline at a time."""
    from prefect.client.schemas.actions import (
        GlobalConcurrencyLimitCreate,
        GlobalConcurrencyLimitUpdate,
    )
    from prefect.exceptions import ObjectNotFound

    try:
        found = await client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        if dry:
            return Change("limit", name, "created")
        made = await client.create_global_concurrency_limit(
            GlobalConcurrencyLimitCreate(name=name, limit=1)
        )
        return Change("limit", name, "created", id=made)
    if found.limit == 1 and found.active:
        return Change("limit", name, "unchanged", id=found.id)
    if not dry:
        await client.update_global_concurrency_limit(
            name, GlobalConcurrencyLimitUpdate(limit=1, active=True)
        )
    return Change("limit", name, "updated", ("limit",), found.id)


async def _deployment(
    client: PrefectClient, wanted: Deployment, limit: Change, *, dry: bool
) -> Change:
    from prefect.exceptions import ObjectNotFound

    payload = _payload(wanted, limit.id)
    try:
        found = await client.read_deployment_by_name(wanted.full_name)
    except ObjectNotFound:
        made = None if dry else await _send(client, wanted, payload)
        return Change("deployment", wanted.full_name, "created", id=made)
    present = found.model_dump(mode="json")
    shared = present["global_concurrency_limit"] or {}
    present |= {
        "global_concurrency_limit_id": shared.get("id"),
        "work_pool_name": present["work_pool_name"] or "",
    }
    fields = tuple(key for key in _COMPARED if _plain(payload, key) != _plain(present, key))
    # Who stops serving pauses what was served; a worker that takes over has to go on with it.
    resumed = present["paused"] and (not wanted.work_pool or not present["work_pool_name"])
    if not fields and not resumed:
        note = "it is paused: no schedule starts a run" if present["paused"] else ""
        return Change("deployment", wanted.full_name, "unchanged", id=found.id, note=note)
    if not dry:
        _keep_switched_off(payload["schedules"], present["schedules"])
        if resumed:
            payload["paused"] = False
        if not wanted.work_pool and present["work_pool_name"]:
            # Only an update takes a deployment out of its work pool.
            await client.request(
                "PATCH",
                "/deployments/{id}",
                path_params={"id": found.id},
                json={"work_pool_name": None, "work_queue_name": None},
            )
        await _send(client, wanted, payload)
    return Change(
        "deployment",
        wanted.full_name,
        "updated",
        (*fields, "paused") if resumed else fields,
        found.id,
    )


_COMPARED = (
    *("description", "version", "tags", "parameters", "entrypoint", "pull_steps"),
    *("work_pool_name", "job_variables", "schedules", "concurrency_options"),
    *("global_concurrency_limit_id", "enforce_parameter_schema", "parameter_openapi_schema"),
)


def _payload(wanted: Deployment, limit: UUID | None) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "description": wanted.description,
        "version": wanted.version,
        "version_info": {"type": "prefect:simple", "version": wanted.version},
        "tags": list(wanted.tags),
        "parameters": dict(wanted.parameters),
        "entrypoint": wanted.entrypoint,
        "pull_steps": wanted.pull_steps,
        "work_pool_name": wanted.work_pool,
        "job_variables": {"env": wanted.environment} if wanted.work_pool else {},
        "schedules": [
            {"schedule": dict(each.when), "parameters": dict(each.parameters), "active": True}
            for each in wanted.schedules
        ],
        "concurrency_options": {"collision_strategy": wanted.collision},
        "global_concurrency_limit_id": str(limit) if limit else None,
        "enforce_parameter_schema": True,
        "parameter_openapi_schema": dict(wanted.schema),
    }


async def _send(client: PrefectClient, wanted: Deployment, payload: dict[str, Any]) -> UUID:
    """Create or replace a deployment, in one request.

    Prefect's own call leaves out the limit that several deployments share.
    """
    flow = await client.create_flow_from_name(wanted.flow)
    body = payload | {"flow_id": str(flow)}
    if not wanted.work_pool:
        del body["work_pool_name"]
    answer = await client.request("POST", "/deployments/", json=body)
    return UUID(answer.json()["id"])


def _plain(values: Mapping[str, Any], key: str) -> Any:
    """A value as both sides spell it."""
    value = values.get(key)
    if key == "schedules":
        # The server keeps them in no order.
        moments = [(_moment(each["schedule"]), each["parameters"]) for each in value or []]
        return sorted(moments, key=str)
    if key == "concurrency_options":
        return (value or {}).get("collision_strategy")
    return sorted(value or []) if key == "tags" else value


def _moment(schedule: Mapping[str, Any]) -> dict[str, Any]:
    from datetime import datetime

    plain = dict(schedule)
    if anchor := plain.get("anchor_date"):
        plain["anchor_date"] = datetime.fromisoformat(anchor)
    return plain


def _keep_switched_off(wanted: list[dict[str, Any]], present: list[dict[str, Any]]) -> None:
    """A schedule that somebody switched off stays off, as long as it is the same one."""
    off = [
        (_moment(each["schedule"]), each["parameters"]) for each in present if not each["active"]
    ]
    for each in wanted:
        each["active"] = (_moment(each["schedule"]), each["parameters"]) not in off


async def _block(client: PrefectClient, name: str | None) -> UUID | None:
    from prefect.exceptions import ObjectNotFound

    if name is None:
        return None
    kind, _, slug = name.partition("/")
    try:
        return (await client.read_block_document_by_name(slug, kind, include_secrets=False)).id
    except ObjectNotFound as error:
        raise ConfigError(
            f"deployment.notify: there is no block {name} at the Prefect server",
            hint="Make it on the server's page Blocks; `prefect block ls` lists those it has.",
        ) from error


async def _automations(
    client: PrefectClient, production: Production, block: UUID | None, *, dry: bool
) -> list[Change]:
    from prefect.settings import get_current_settings

    changes = []
    pages = str(get_current_settings().ui_url or "").rstrip("/")
    wanted = {each.name: each for each in automations_of(production, block, pages)}
    for topic in _TOPICS:
        name = f"{production.pipeline}: {topic}"
        found = await client.read_automations_by_name(name)
        if name not in wanted:
            changes += [await _remove(client, each, dry=dry) for each in found]
        elif not found:
            made = None if dry else await client.create_automation(wanted[name])
            changes.append(Change("automation", name, "created", id=made))
        elif fields := _differences(wanted[name].model_dump(), found[0].model_dump()):
            if not dry:
                await client.update_automation(found[0].id, wanted[name])
            changes.append(Change("automation", name, "updated", fields, found[0].id))
        else:
            changes.append(Change("automation", name, "unchanged", id=found[0].id))
    return changes


async def _remove(client: PrefectClient, automation: Automation, *, dry: bool) -> Change:
    if not dry:
        await client.delete_automation(automation.id)
    return Change("automation", automation.name, "removed", id=automation.id)


def _differences(wanted: Mapping[str, Any], present: Mapping[str, Any]) -> tuple[str, ...]:
    compared = ("description", "tags", "trigger", "actions")
    return tuple(key for key in compared if wanted[key] != present[key])
