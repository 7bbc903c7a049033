"""A result storage of the test's own: a hit on another test's result would be no hit."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings


@pytest.fixture
def storage(tmp_path: Path, prefect_server: object) -> Iterator[Path]:
    """The folder where results are kept."""
    folder = tmp_path / "results"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder}):
        yield folder


@pytest.fixture
def run_program(tmp_path: Path, storage: Path) -> Callable[..., str]:
    """Run Python source in another process with the same storage; gives what it prints."""

    def run(source: str, **environment: str) -> str:
        (tmp_path / "program.py").write_text(textwrap.dedent(source), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=os.environ | {"PREFECT_LOCAL_STORAGE_PATH": str(storage)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
