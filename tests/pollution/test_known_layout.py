"""Where the layout is known, every cell of a polluted file is read right, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from pollutions import Case, cases
from scoring import Answer, bad_rows_loaded, lost, score

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL, careful_rows
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session

_COLUMNS = TableSchema.from_pairs(
    [
        ("id", "BIGINT"),
        ("name", "VARCHAR"),
        ("amount", "DECIMAL(12,2)"),
        ("day", "DATE"),
        ("note", "VARCHAR"),
    ]
)


def _read(path: Path, case: Case, session: Session) -> Answer:
    assert case.layout is not None
    dataset = FilesDataset(name="t", path=path.name)
    source = FilesSource(FilesConnection(folder=path.parent), dataset, session)
    place = next(value for value in vars(source).values() if isinstance(value, Place))
    reading = Reading("csv", _COLUMNS, {CAREFUL: case.layout.as_dict()})
    with careful_rows(place, reading, [Unit(path.name, "1")]) as rows:
        assert rows.aside is not None
        found, aside = session.query(rows.sql), rows.aside()
        texts = session.query(f"SELECT text FROM '{aside.rejects}'") if aside.rejects else []
    names = case.names or ()
    return Answer(names, found, [text for (text,) in texts])


def test_every_pollution_and_every_pair_is_read_right(tmp_path: Path) -> None:
    session = Session(spill=tmp_path / "spill", threads=1)
    path = tmp_path / "a.csv"
    wrong = []
    for case in cases(every=4):
        if case.layout is None:
            continue
        path.write_bytes(case.data)
        answer = _read(path, case, session)
        if score(case, answer) < 1 or lost(case, answer) or bad_rows_loaded(case, answer):
            wrong.append((case.title, round(score(case, answer), 3), answer.refused))
    assert not wrong
