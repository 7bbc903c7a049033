"""Point this process's Prefect at the shared server."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prefect_etl.orchestration.server.configured import API_URL, OWN_URL
from prefect_etl.orchestration.server.info import ServerInfo
from prefect_etl.orchestration.server.lifecycle import ensure_server

if TYPE_CHECKING:
    from prefect.context import SettingsContext

VERSION_CHECK = "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"


def use_server(*, home: Path | None = None, idle_minutes: float | None = None) -> ServerInfo:
    """Make sure that there is an API, and make Prefect in this process use it.

    Takes effect whether or not Prefect was imported before, in all threads, and in processes that
    this one starts. What the user configured is left as it is.

    Args:
        home: As for :func:`ensure_server`.
        idle_minutes: As for :func:`ensure_server`.

    Raises:
        Fatal: as :func:`ensure_server`, and so are BusyError and StorageError.
    """
    info = ensure_server(home=home, idle_minutes=idle_minutes)
    point_at(info)
    return info


def point_at(info: ServerInfo) -> None:
    """Make Prefect in this process use the local server ``info``; a configured one it uses."""
    if not info.is_local:
        return
    os.environ[API_URL] = info.url
    os.environ[OWN_URL] = info.url
    # The server is of this Prefect's version: no flow run needs to ask it.
    os.environ.setdefault(VERSION_CHECK, "false")
    if "prefect.context" in sys.modules:
        _update_loaded(info.url)


def _update_loaded(url: str) -> None:
    from prefect import context

    active = context.SettingsContext.get()
    base = context.GLOBAL_SETTINGS_CONTEXT
    if active is not None and active is not base:
        # A `with temporary_settings(...)` block is open; leaving it undoes this together with it.
        context.SettingsContext.__var__.set(_with_url(active, url))
    context.GLOBAL_SETTINGS_CONTEXT = _with_url(base, url)


def _with_url(active: SettingsContext, url: str) -> SettingsContext:
    if active.settings.api.url == url:
        return active
    settings = active.settings.copy_with_update(
        updates={
            "api.url": url,
            "client.server_version_check_enabled": os.environ[VERSION_CHECK],
        }
    )
    return type(active)(profile=active.profile, settings=settings)
