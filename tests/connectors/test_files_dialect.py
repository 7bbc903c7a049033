"""No line of a CSV file is left out unless the user says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.core.ledger import LedgerState
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError, StorageError


def read(folder: Path, text: str, **fields: Any) -> list[Any]:
    (folder / "a.csv").write_text(text)
    session = Session()
    dataset = FilesDataset(name="t", path="a.csv", **fields)
    source = FilesSource(FilesConnection(folder=folder), dataset, session)
    (batch,) = source.batches(source.units(LedgerState()), LedgerState())
    with source.read(batch) as rows:
        return session.query(rows.sql, rows.parameters)


def test_lines_that_differ_at_the_start_are_not_skipped(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match="first 2 lines") as caught:
        read(tmp_path, "id\n7\n8,9\n")
    assert "skip: 2" in str(caught.value)


def test_a_preamble_is_skipped_where_the_user_says_so(tmp_path: Path) -> None:
    assert read(tmp_path, "title\n\nid,v\n1,a\n", skip=2) == [(1, "a")]


def test_a_line_with_too_many_fields_is_named_where_no_row_may_be_bad(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match="line 2"):
        read(tmp_path, "id,amount\n1,2,3,4\n5,6\n", bad_rows="fail")


def test_a_line_that_looks_like_a_comment_is_data(tmp_path: Path) -> None:
    assert read(tmp_path, "id,v\n1,a\n#2,b\n") == [("1", "a"), ("#2", "b")]


def test_the_delimiter_is_found(tmp_path: Path) -> None:
    for delimiter in ",;\t|":
        text = "id,v\n1,a\n2,b\n".replace(",", delimiter)
        assert read(tmp_path, text) == [(1, "a"), (2, "b")]


def test_quotes_newlines_and_nulls_are_kept_apart(tmp_path: Path) -> None:
    text = 'id,v\n1,"a ""b"",\nc"\n2,""\n3,NA\n'
    assert read(tmp_path, text, nulls=["NA"]) == [(1, 'a "b",\nc'), (2, ""), (3, None)]


def test_a_header_alone_has_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path, "id,v\n") == []


def test_an_empty_file_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceReadError, match="is empty"):
        read(tmp_path, "")


def test_dates_of_other_orders_are_read(tmp_path: Path) -> None:
    rows = read(tmp_path, "d\n13/02/2024\n01/03/2024\n")
    assert [str(row[0]) for row in rows] == ["2024-02-13", "2024-03-01"]


def test_too_little_memory_is_told_as_that(tmp_path: Path) -> None:
    wide = ",".join(f"c{n}" for n in range(10_000))
    (tmp_path / "a.csv").write_text(f"{wide}\n{','.join('1' * 10_000)}\n")
    session = Session(memory_limit="64MiB", spill=tmp_path / "spill")
    source = FilesSource(
        FilesConnection(folder=tmp_path), FilesDataset(name="t", path="a.csv"), session
    )

    def everything() -> None:
        (batch,) = source.batches(source.units(LedgerState()), LedgerState())
        with source.read(batch) as rows:
            session.query(rows.sql, rows.parameters)

    with pytest.raises(StorageError, match="Out of Memory") as caught:
        everything()
    assert "PREFECT_ETL_MEMORY_LIMIT" in str(caught.value)


def test_of_a_year_of_two_digits_nobody_knows_which_they_are(tmp_path):
    import prefect_etl

    (tmp_path / "a.csv").write_text("n,d\n1,13.02.23\n2,04.12.23\n3,05.11.23\n")
    (row, *_) = prefect_etl.read(tmp_path / "a.csv").table.to_pylist()
    assert str(row["d"]) in ("13.02.23", "2023-02-13")
