"""Pipelines that are run, and killed, in processes of their own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runner import Runner

HERE = Path(__file__).parent
# Test modules of a folder cannot import each other by themselves (--import-mode=importlib).
sys.path.insert(0, str(HERE))


@pytest.fixture
def runner() -> Iterator[Runner]:
    from runner import Runner

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
