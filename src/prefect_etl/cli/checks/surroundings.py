"""Checks of settings and server."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from prefect_etl.cli.checks.finding import Check
from prefect_etl.config.settings import LoadedSettings, Settings
from prefect_etl.config.sources import PREFIX, unknown_variables

# Set by the local server's launcher for its own use.
_NOT_SETTINGS = frozenset({f"{PREFIX}SERVER_URL"})


def check_settings(loaded: LoadedSettings, variables: Mapping[str, str]) -> Iterable[Check]:
    """The settings that were given, with their places; variables that are none.

    Args:
        loaded: The settings.
        variables: The environment.
    """
    given = [f"{name} from {place}" for name, place in sorted(loaded.origins.items())]
    told = "; ".join(given) or "nothing but defaults"
    yield Check("settings", "ok", f"environment {loaded.settings.environment}; {told}")
    for name, why in unknown_variables(variables, list(Settings.model_fields)):
        if name not in _NOT_SETTINGS:
            mend = f"Spell it right, or remove it: unset {name}"
            yield Check("settings", "warn", f"{name}: {why}", mend)


def check_server(home: Path) -> Check:
    """The Prefect API that runs would use: the configured one, or the local one."""
    from prefect_etl.orchestration.server import server_status
    from prefect_etl.orchestration.server.configured import configured_api

    if chosen := configured_api():
        problem = unreachable(chosen.url)
        if problem is None:
            return Check("server", "ok", f"configured: {chosen.url}")
        mend = "Start that server, or unset PREFECT_API_URL (or leave the profile) for a local one."
        return Check("server", "fail", f"{chosen.url} does not answer: {problem}", mend)
    if info := server_status(home=home):
        return Check("server", "ok", f"local, running: {info.ui_url} (process {info.pid})")
    return Check("server", "ok", "local, not running; the next run starts it")


def unreachable(url: str, seconds: float = 5.0) -> str | None:
    """Why an API does not answer; None where it does. Its answer need not be a welcome."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    if not url.startswith(("http://", "https://")):
        return "is not an http address"
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=seconds):  # noqa: S310 - checked above
            return None
    except HTTPError:
        return None  # it is there; whether we may use it, Prefect says best
    except (URLError, OSError) as error:
        return str(getattr(error, "reason", error))


def environment() -> Mapping[str, str]:
    """The variables of this process."""
    return os.environ
