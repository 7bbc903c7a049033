"""Quotes that are not escaped, lines that are quoted whole, and headers that are too short."""

from __future__ import annotations

import pytest

import prefect_etl
from prefect_etl.errors import SourceReadError


def _read(folder, text, **pins):
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return prefect_etl.read(folder / "a.csv", **pins)


def _rows(found):
    return [tuple(row.values()) for row in found.table.to_pylist()]


def test_quotes_within_quotes_are_taken_as_they_stand_and_told(tmp_path):
    text = 'id,name,n\n1,"5" pipe",2\n2,"19" rack, black",3\n3,"say ""hi""",4\n4,"7"",5\n'
    found = _read(tmp_path, text)
    assert [name for _, name, _ in _rows(found)] == [
        '5" pipe',
        '19" rack, black',
        'say "hi"',
        '7"',
    ]
    assert "are not escaped" in str(found.repairs[0])


def test_few_quotes_within_quotes_put_their_records_aside(tmp_path):
    rows = "".join(f'{n},"a ""{n}"" b"\n' for n in range(60))
    found = _read(tmp_path, f'id,name\n{rows}60,"5" pipe"\n')
    assert _rows(found)[7] == (7, 'a "7" b')
    assert found.rejects["line"].to_pylist() == [62]


def test_lines_that_are_quoted_whole_are_refused(tmp_path):
    with pytest.raises(SourceReadError, match="each of its lines is quoted as a whole"):
        _read(tmp_path, '"id,name,n"\n"1,apple,3"\n"2,pear,4"\n')


def test_one_column_with_delimiters_in_quotes_is_one_column(tmp_path):
    found = _read(tmp_path, 'comment\n"hello, world"\nfine\n"a, b"\n')
    assert found.table.to_pydict() == {"comment": ["hello, world", "fine", "a, b"]}


def test_a_header_without_the_last_delimiter_of_its_rows_is_one(tmp_path):
    found = _read(tmp_path, "id\tname\tn\n1\ta\t3\t\n2\tb\t4\t\n")
    assert found.table.column_names == ["id", "name", "n", "column_4"]
    assert _rows(found) == [(1, "a", 3, None), (2, "b", 4, None)]


def test_nobody_is_advised_to_skip_a_header_that_is_too_short(tmp_path):
    with pytest.raises(SourceReadError, match="looks like the names of the columns"):
        _read(tmp_path, "id\tname\tn\n1\ta\t3\tx\n2\tb\t4\ty\n")
