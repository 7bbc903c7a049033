"""Detection of one file's text, below the reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.files.csv.finding import Found, find
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.ledger import LedgerState
from prefect_etl.engine.duckdb import Session

Finding = Callable[..., Found]
Reader = Callable[..., tuple[Reading, list[Any]]]


@pytest.fixture(scope="session")
def session() -> Session:
    return Session()


def _source(session: Session, folder: Path, content: str | bytes, **pins: Any) -> FilesSource:
    data = content.encode() if isinstance(content, str) else content
    (folder / "a.csv").write_bytes(data)
    dataset = FilesDataset(name="t", path="a.csv", **pins)
    return FilesSource(FilesConnection(folder=folder), dataset, session)


@pytest.fixture
def found(session: Session, tmp_path: Path) -> Finding:
    def of(content: str | bytes, **pins: Any) -> Found:
        source = _source(session, tmp_path, content, **pins)
        return find(source.place, source.units(LedgerState())[0])

    return of


@pytest.fixture
def read(session: Session, tmp_path: Path) -> Reader:
    def of(content: str | bytes, **pins: Any) -> tuple[Reading, list[Any]]:
        source = _source(session, tmp_path, content, **pins)
        (batch,) = source.batches(source.units(LedgerState()), LedgerState())
        with source.read(batch) as rows:
            return Reading.from_dict(batch.reading), session.query(rows.sql)

    return of
