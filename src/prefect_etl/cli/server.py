"""``prefect-etl server start | stop | status``: the shared local Prefect server."""

from __future__ import annotations

from prefect_etl.cli.console import out, print_json, print_lines
from prefect_etl.config.settings import load_settings
from prefect_etl.orchestration.server import (
    ServerInfo,
    ensure_server,
    server_status,
    stop_server,
)
from prefect_etl.orchestration.server.configured import configured_api


def start() -> int:
    """Start the shared local Prefect server, unless it runs or another API is configured.

    Example: prefect-etl server start

    Raises:
        Fatal: it did not start; BusyError and StorageError likewise.
    """
    with out().status("Starting the local Prefect server ..."):
        settings = load_settings()
        info = ensure_server(home=settings.home, idle_minutes=settings.server_idle_minutes)
    _describe(info)
    return 0


def stop() -> int:
    """Stop the shared local Prefect server.

    Example: prefect-etl server stop

    Raises:
        Fatal: it did not end, or belongs to another user.
    """
    with out().status("Stopping the local Prefect server ..."):
        stopped = stop_server(home=load_settings().home)
    print_lines(
        "The local Prefect server has stopped." if stopped else "No local Prefect server runs."
    )
    return 0


def status(*, json: bool = False) -> int:
    """Say which Prefect API is used, and where its pages are.

    Example: prefect-etl server status --json

    Args:
        json: Print it for a program: running, url, ui_url, pid, home, configured.
    """
    chosen, local = configured_api(), server_status(home=load_settings().home)
    info = chosen or local
    if json:
        print_json(_facts(info, configured=chosen is not None))
    elif info is None:
        print_lines("No local Prefect server runs; a run starts it when it needs it.")
    else:
        _describe(info)
    return 0


def _describe(info: ServerInfo) -> None:
    if info.is_local:
        print_lines(f"The local Prefect server runs (process {info.pid}).")
    else:
        print_lines("A Prefect API is configured, and is used instead of a local server.")
    print_lines(f"  pages  {info.ui_url}", f"  API    {info.url}")
    if info.home:
        print_lines(f"  files  {info.home}")


def _facts(info: ServerInfo | None, *, configured: bool) -> dict[str, object]:
    return {
        "running": info is not None and info.is_local,
        "configured": configured,
        "url": info.url if info else None,
        "ui_url": info.ui_url if info else None,
        "pid": info.pid if info else None,
        "home": str(info.home) if info and info.home else None,
    }
