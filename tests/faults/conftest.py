"""Pipelines that are run, and killed, in processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

HERE = Path(__file__).parent
# Test modules of a folder cannot import each other by themselves (--import-mode=importlib).
sys.path.insert(0, str(HERE))


class Runner:
    """Runs pipelines, one at a time, each in a fresh process; see ``child.py``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The process whose children run the pipelines."""
        return self._process.pid

    def run(self, root: Path, **job: Any) -> dict[str, Any]:
        """Run the pipeline of a folder; ``before=3`` kills it just before its third step."""
        from shop import BATCH_BYTES

        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"root": str(root), "batch_bytes": BATCH_BYTES} | job
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@pytest.fixture
def runner() -> Iterator[Runner]:
    with Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def fast_folder() -> Iterator[Path]:
    """A folder in memory where there is one: a kill, unlike a power cut, leaves the cache."""
    memory = Path("/dev/shm")
    within = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=within, prefix="prefect-etl-faults-") as folder:
        yield Path(folder)


@pytest.fixture
def root_without_files(tmp_path: Path) -> Path:
    """The folder of the small pipeline."""
    from shop import make

    return make(tmp_path, transformations=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of the small pipeline, with its first files."""
    from shop import FIRST, arrive, make

    arrive(make(tmp_path), FIRST)
    return tmp_path


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    shutil.rmtree(tmp_path, ignore_errors=True)
