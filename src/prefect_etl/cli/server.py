"""``prefect-etl server start | stop | status``: the shared local Prefect server."""

from __future__ import annotations

import json as json_format

from rich.console import Console

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
    console = _console()
    if not configured_api() and not server_status():
        with console.status("Starting the local Prefect server ..."):
            ensure_server()
    _describe(console, ensure_server())
    return 0


def stop() -> int:
    """Stop the shared local Prefect server.

    Example: prefect-etl server stop

    Raises:
        Fatal: it did not end, or belongs to another user.
    """
    console = _console()
    with console.status("Stopping the local Prefect server ..."):
        stopped = stop_server()
    console.print(
        "The local Prefect server has stopped." if stopped else "No local Prefect server runs."
    )
    return 0


def status(*, json: bool = False) -> int:
    """Say which Prefect API is used, and where its pages are.

    Example: prefect-etl server status --json

    Args:
        json: Print it for a program: running, url, ui_url, pid, home, configured.
    """
    chosen, local = configured_api(), server_status()
    info = chosen or local
    if json:
        print(json_format.dumps(_facts(info, configured=chosen is not None)))  # noqa: T201
    elif info is None:
        _console().print("No local Prefect server runs; a run starts it when it needs it.")
    else:
        _describe(_console(), info)
    return 0


def _describe(console: Console, info: ServerInfo) -> None:
    if info.is_local:
        console.print(f"The local Prefect server runs (process {info.pid}).")
        console.print(f"  pages  {info.ui_url}\n  API    {info.url}\n  files  {info.home}")
    else:
        console.print("A Prefect API is configured, and is used instead of a local server.")
        console.print(f"  pages  {info.ui_url}\n  API    {info.url}")


def _facts(info: ServerInfo | None, *, configured: bool) -> dict[str, object]:
    return {
        "running": info is not None and info.is_local,
        "configured": configured,
        "url": info.url if info else None,
        "ui_url": info.ui_url if info else None,
        "pid": info.pid if info else None,
        "home": str(info.home) if info and info.home else None,
    }


def _console() -> Console:
    # Addresses and paths are to be copied: never broken over lines, nor coloured by guesswork.
    return Console(highlight=False, soft_wrap=True)
