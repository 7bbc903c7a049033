"""A result storage of the test's own: a hit on another test's result would be no hit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings


@pytest.fixture(autouse=True)
def storage(tmp_path: Path, prefect_server: object) -> Iterator[Path]:
    """The folder where results are kept."""
    folder = tmp_path / "results"
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: folder}):
        yield folder
