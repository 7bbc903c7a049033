"""All tests live in a world of their own: nothing of the user's Prefect is read or touched.

The world is made when this file is imported, before any test module: Prefect reads its settings
when it is imported.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from prefect_etl.orchestration.server import ServerInfo

# The database servers of tests/servers are for the tests of all folders.
sys.path.append(str(Path(__file__).parent))
pytest_plugins = ["servers.fixtures"]

WORLD = Path(tempfile.mkdtemp(prefix="prefect-etl-tests-"))


def _isolate() -> None:
    for name in [*os.environ]:
        if name.startswith(("PREFECT_", "PG", "MYSQL_")) and name != "PREFECT_ETL_SOAK":
            del os.environ[name]
    os.environ["PREFECT_ETL_HOME"] = str(WORLD / "etl")
    os.environ["PREFECT_HOME"] = str(WORLD / "prefect")
    os.environ["PREFECT_SERVER_ALLOW_EPHEMERAL_MODE"] = "false"  # a forgotten fixture fails at once
    os.environ["PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"] = "false"
    os.environ["PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW"] = "ignore"  # tasks without a flow
    os.environ["DO_NOT_TRACK"] = "1"


_isolate()
# How long an example takes says how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


def pytest_unconfigure() -> None:
    from prefect_etl.orchestration.server import stop_server

    stop_server()
    shutil.rmtree(WORLD, ignore_errors=True)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[ServerInfo]:
    """The one Prefect server of the test session, in use by this process and its children."""
    from prefect_etl.orchestration.server import stop_server, use_server

    yield use_server(idle_minutes=10)
    _send_what_waits()
    stop_server()


def _send_what_waits() -> None:
    # Prefect sends logs and events from threads of its own, and complains when the server is gone.
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all()
    EventsWorker.drain_all()
