"""A Prefect server that waits less than usual, workers that can be killed, and projects to run."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from prefect_etl.orchestration.server import ServerInfo, ensure_server, stop_server
from prefect_etl.orchestration.server.home import ServerHome

# Test modules of a folder cannot import each other by themselves (--import-mode=importlib).
sys.path.insert(0, str(Path(__file__).parent))

from deployed import Factory, start

# Prefect waits 30 s for a slot, and looks every 5 s for what did not happen.
_SETTINGS = """\
active = "tests"
[profiles.tests]
PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS = "1"
PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY = "PT1S"
PREFECT_SERVER_SERVICES_LATE_RUNS_AFTER_SECONDS = "1"
PREFECT_SERVER_SERVICES_LATE_RUNS_LOOP_SECONDS = "1"
"""


@pytest.fixture(scope="session")
def server(
    prefect_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerInfo]:
    home = tmp_path_factory.mktemp("server")
    place = ServerHome.locate(home)
    place.folder.mkdir(parents=True)
    # To make a database anew takes seconds.
    with (
        closing(sqlite3.connect(ServerHome.locate().database)) as source,
        closing(sqlite3.connect(place.database)) as target,
    ):
        source.backup(target)
    (place.folder / "profiles.toml").write_text(_SETTINGS)
    yield ensure_server(home=home, idle_minutes=30)
    stop_server(home=home, seconds=0)


@pytest.fixture
def api(server: ServerInfo, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerInfo]:
    """The server is the configured one: for this process and for those that it starts."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PREFECT_API_URL", server.url)
    monkeypatch.delenv("PREFECT_ETL_SERVER_URL", raising=False)
    with temporary_settings({PREFECT_API_URL: server.url}):
        yield server


@pytest.fixture
def factory(api: ServerInfo, tmp_path: Path) -> Iterator[Factory]:
    made = Factory(tmp_path, api)
    yield made
    made.close()


@pytest.fixture(scope="session")
def _shared_worker(server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("worker")
    process = start(folder, server, "prefect", "worker", "start", "-p", "shared", "-t", "process")
    yield "shared"
    process.kill()
    process.wait()


@pytest.fixture
def worker(factory: Factory, _shared_worker: str) -> None:
    """What the test deploys goes to a worker that works for many tests."""
    factory.pool = _shared_worker
