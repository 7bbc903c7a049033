"""Servers of a test's own, and programs that use them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from prefect_etl.orchestration.server import ServerInfo, stop_server
from prefect_etl.orchestration.server.home import ServerHome

Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def empty_home(tmp_path: Path) -> Iterator[Path]:
    """A folder for a server that never ran; stopped after the test."""
    place = tmp_path / "home"
    yield place
    stop_server(home=place, seconds=0)


@pytest.fixture(scope="session")
def used_home(prefect_server: ServerInfo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the session's server: to make a database and web pages anew takes seconds."""
    place = tmp_path_factory.mktemp("used") / "home"
    original, copy = ServerHome.locate(), ServerHome.locate(place)
    shutil.copytree(original.ui, copy.ui)
    with (
        closing(sqlite3.connect(original.database)) as source,
        closing(sqlite3.connect(copy.database)) as target,
    ):
        source.backup(target)
    return place


@pytest.fixture
def home(empty_home: Path, used_home: Path) -> Path:
    """A folder for a server that starts fast; stopped after the test."""
    shutil.copytree(used_home, empty_home)
    return empty_home


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Start Python source as a program in ``tmp_path``, whose servers live in ``home`` there."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, **environment: str) -> subprocess.Popen[str]:
        world = {
            name: value
            for name, value in os.environ.items()
            if name not in {"PREFECT_API_URL", "PREFECT_ETL_SERVER_URL"}
        }
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(source)],
            cwd=tmp_path,
            env=world | {"PREFECT_ETL_HOME": str(tmp_path / "home")} | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
