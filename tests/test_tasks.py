"""The tasks: thin, and retried where the type of the error says so."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from prefect_etl import Pipeline
from prefect_etl.errors import BusyError, SourceChangedError, SourceReadError, VersionConflict
from prefect_etl.orchestration.recovery import is_retriable
from prefect_etl.tasks import extraction

pytestmark = pytest.mark.usefixtures("prefect_server")


class _State:
    def __init__(self, data: Any) -> None:
        self.data = data


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (BusyError("held"), True),
        (SourceChangedError("moved"), True),
        (VersionConflict("lost the race"), False),
        (SourceReadError("broken"), False),
        (ValueError("a bug"), False),
    ],
)
def test_the_type_of_an_error_decides_whether_it_is_retried(error: Exception, again: bool) -> None:
    assert is_retriable(None, None, _State(error)) is again


def test_a_file_that_changed_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("id\n1\n")
    attempts = []
    extract_batch = extraction.extract_batch

    def touchy(*arguments: Any) -> Any:
        attempts.append(os.getpid())
        if len(attempts) == 1:
            raise SourceChangedError("a.csv changed while it was read")
        return extract_batch(*arguments)

    monkeypatch.setattr(extraction, "extract_batch", touchy)
    monkeypatch.setattr(extraction.extract, "retry_delay_seconds", 0)
    pipeline = Pipeline(
        name="touchy",
        destination="duckdb:///w.duckdb",
        sources={"s": {"connection": "file://./data", "datasets": {"a": {"path": "a.csv"}}}},
        root=tmp_path,
    )
    assert pipeline.run().status == "completed"
    assert len(attempts) == 2
