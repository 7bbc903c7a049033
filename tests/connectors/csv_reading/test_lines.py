"""In which line of its file a row begins."""

from __future__ import annotations

from pathlib import Path

from prefect_etl.connectors.base import Locating
from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.core.ledger import LedgerState
from prefect_etl.engine.duckdb import Session


def _source(folder: Path, session: Session, text: str) -> FilesSource:
    (folder / "a.csv").write_text(text)
    dataset = FilesDataset(name="t", path="a.csv", types={"a": "BIGINT"})
    return FilesSource(FilesConnection(folder=folder), dataset, session)


def test_rows_of_several_lines_are_counted(tmp_path: Path, session: Session) -> None:
    source = _source(tmp_path, session, 'a,b\n1,"x\n\ny"\n\n2,z\n3,w\n')
    assert isinstance(source, Locating)
    (unit,) = source.units(LedgerState())
    assert source.lines(unit, [3, 1, 2, 9]) == [7, 2, 6, None]


def test_records_that_are_put_aside_do_not_count(tmp_path: Path, session: Session) -> None:
    source = _source(tmp_path, session, "a,b\n1,x\n2\ny,y\n3,z\n4,w\n")
    (unit,) = source.units(LedgerState())
    columns = [["a", "BIGINT"], ["b", "VARCHAR"]]
    reading = {
        "format": "csv",
        "columns": columns,
        "options": {CAREFUL: Layout().as_dict()},
    }
    assert source.lines(unit, [1, 2, 3], reading) == [2, 5, 6]


def test_a_file_that_changed_has_no_known_lines(tmp_path: Path, session: Session) -> None:
    source = _source(tmp_path, session, "a,b\n1,x\n")
    (unit,) = source.units(LedgerState())
    (tmp_path / "a.csv").write_text("a,b\n\n\n1,x\n")
    assert source.lines(unit, [1]) == [None]
