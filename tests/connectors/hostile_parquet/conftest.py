"""What reads one folder of files, and where its rows go."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_etl.engine.duckdb import Session

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    session = Session("256MB", threads=2, spill=tmp_path / "spill" / "run")
    yield session
    session.close()
