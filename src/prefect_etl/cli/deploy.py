"""``prefect-etl deploy``: a pipeline's deployments at the Prefect server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from prefect_etl.cli.console import make_table, out, print_json, print_lines, shown_path
from prefect_etl.cli.options import DEFAULT_PIPELINE, AsJson, PipelineFile, pipeline_path, prepare

if TYPE_CHECKING:
    from prefect_etl.config.settings import Settings
    from prefect_etl.deployments.apply import Change
    from prefect_etl.deployments.production import Production
    from prefect_etl.orchestration.server import ServerInfo


def deploy(
    pipeline: PipelineFile = DEFAULT_PIPELINE,
    *,
    dry_run: Annotated[
        bool, Parameter(help="Only say what would change.", show_default=False)
    ] = False,
    as_yaml: Annotated[
        bool,
        Parameter(
            name="--yaml",
            help="Write prefect.yaml beside the pipeline file, for `prefect deploy`, and no more.",
            show_default=False,
        ),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Make or update a pipeline's deployments, and what they need at the Prefect server."""
    path = pipeline_path(pipeline)
    settings = prepare(path)
    from prefect_etl.deployments.production import production

    if as_yaml:
        return _write_yaml(production(path, settings), path.parent, dry=dry_run, as_json=as_json)
    from prefect_etl.orchestration.server import use_server

    info = use_server(home=settings.home, idle_minutes=settings.server_idle_minutes)
    from prefect_etl.deployments.apply import apply
    from prefect_etl.orchestration.apart import run_apart

    wanted = production(path, settings)
    changes = run_apart(lambda: apply(wanted, dry=dry_run))
    if as_json:
        print_json(_facts(wanted, changes, info, dry=dry_run))
    else:
        print_changes(changes)
        _next_steps(wanted, changes, info, settings, dry=dry_run)
    return 0


def print_changes(changes: list[Change]) -> None:
    """A line for each thing at the server: what became of it."""
    table = make_table("what", "name", "", "")
    for change in changes:
        table.add_row(change.kind, change.name, change.action, change.note or _list(change.fields))
    out().print(table)


def schedule_lines(production: Production) -> list[str]:
    """When each flow runs, for people."""
    lines = []
    for deployment in production.deployments:
        for schedule in deployment.schedules:
            when = schedule.when
            text = when.get("cron") or f"every {when['interval']:g} seconds"
            told = f" with {dict(schedule.parameters)}" if schedule.parameters else ""
            lines.append(f"{deployment.full_name}: {text} ({when['timezone']}){told}")
    return lines


def local_server_note(info: ServerInfo, settings: Settings) -> str:
    """What has to be known of a server that is only on this machine; nothing of others."""
    if not info.is_local:
        return ""
    idle = settings.server_idle_minutes
    stops = f", and stops {idle:g} minutes after its last use" if idle else ""
    return (
        f"This is the local Prefect server of this machine{stops}. For production run"
        " `prefect server start`, or another server that lasts, and set PREFECT_API_URL."
    )


def _next_steps(
    production: Production,
    changes: list[Change],
    info: ServerInfo,
    settings: Settings,
    *,
    dry: bool,
) -> None:
    if dry:
        print_lines("", "Nothing was changed: this was a dry run.")
        return
    changed = sum(change.action != "unchanged" for change in changes)
    print_lines("", f"{changed} changed, {len(changes) - changed} as they were.")
    none = [f"No schedule: runs start by hand, or by `[[deployment.schedules]]` in {_SETTINGS}."]
    print_lines(*(schedule_lines(production) or none))
    print_lines("Start a worker on the machine where the runs shall happen:")
    print_lines(f"  {_worker(production, info)}", f"Pages: {info.ui_url}/deployments")
    if note := local_server_note(info, settings):
        print_lines(note)


_SETTINGS = "prefect_etl.toml"


def _worker(production: Production, info: ServerInfo) -> str:
    return f"PREFECT_API_URL={info.url} prefect worker start --pool {production.work_pool}"


def _facts(
    production: Production, changes: list[Change], info: ServerInfo, *, dry: bool
) -> dict[str, Any]:
    return {
        "pipeline": production.pipeline,
        "api": info.url,
        "pages": f"{info.ui_url}/deployments",
        "work_pool": production.work_pool,
        "worker": _worker(production, info),
        "dry_run": dry,
        "changed": any(change.action != "unchanged" for change in changes),
        "changes": [
            {
                "kind": change.kind,
                "name": change.name,
                "action": change.action,
                "fields": list(change.fields),
                "id": change.id,
                "note": change.note or None,
            }
            for change in changes
        ],
    }


def _write_yaml(production: Production, folder: Path, *, dry: bool, as_json: bool) -> int:
    from prefect_etl.deployments.prefect_yaml import render, write

    if dry:
        print_lines(render(production).rstrip())
        return 0
    path, changed = write(production, folder)
    if as_json:
        print_json({"path": path, "changed": changed})
        return 0
    print_lines(f"{shown_path(path.absolute())} {'written' if changed else 'is as it was'}.")
    print_lines(
        "Deploy it from its folder:",
        f"  prefect work-pool create {production.work_pool} --type process   # once",
        "  prefect deploy --all",
    )
    return 0


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)
