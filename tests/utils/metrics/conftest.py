from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prefect_etl.utils.metrics import scopes
from prefect_etl.utils.metrics.runs import RunMetrics


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunMetrics]:
    """A run that all calls of the test belong to."""
    scopes.export_through(None)
    run = scopes.open_run("test", RunMetrics("test", "nightly", tmp_path))
    token = scopes.scope.set(run)
    yield run
    scopes.scope.reset(token)
    scopes.close_run("test")
    scopes.export_through(None)
