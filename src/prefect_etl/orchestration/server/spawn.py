"""Start the launcher as a process of its own, with an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from prefect_etl.orchestration.server.home import ServerHome

LAUNCHER = "prefect_etl.orchestration.server.launcher"
IDLE_VARIABLE = "PREFECT_ETL_SERVER_IDLE_MINUTES"
LOG_LIMIT = 5_000_000
TAIL_LINES = 20
_LEASES = "prefect.server.concurrency.lease_storage.filesystem"


def spawn(place: ServerHome, idle_minutes: float | None) -> None:
    """Start the launcher; it detaches itself, and holds the folder's lock when this returns.

    A launcher that fails at once has written why to the log, and holds no lock.
    """
    if place.log.exists() and place.log.stat().st_size > LOG_LIMIT:
        place.log.replace(place.log.with_suffix(".log.1"))
    with place.log.open("ab") as log:
        subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", LAUNCHER, str(place.folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.folder,  # not the user's: Prefect would read their .env and pyproject.toml
            env=_environment(place, idle_minutes),
            start_new_session=True,
            check=False,
        )


def log_tail(place: ServerHome, start: int) -> str:
    """The last lines that the server printed after the byte ``start`` of its log."""
    try:
        text = place.log.read_bytes()
    except OSError:
        return "(it left no log)"
    fresh = text[start:] if len(text) >= start else text
    lines = fresh.decode("utf-8", errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join(f"  | {line}" for line in lines) or "(it printed nothing)"


def _environment(place: ServerHome, idle_minutes: float | None) -> dict[str, str]:
    # Settings that the user made for clients, or for a server of their own, are not for this one.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PREFECT_") or name.startswith("PREFECT_ETL_")
    }
    if search := kept.get("PYTHONPATH"):
        kept["PYTHONPATH"] = os.pathsep.join(
            str(Path(part).absolute()) for part in search.split(os.pathsep) if part
        )
    if idle_minutes is not None:
        kept[IDLE_VARIABLE] = str(idle_minutes)
    return kept | _prefect_settings(place)


def _prefect_settings(place: ServerHome) -> dict[str, str]:
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(place.folder),
        "PREFECT_PROFILES_PATH": str(place.folder / "profiles.toml"),
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{place.database}",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(place.ui),
        "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
        # In memory, Prefect's default, a server that starts anew ends runs that hold a slot.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": _LEASES,
    }
