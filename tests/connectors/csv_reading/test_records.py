"""Records that are read, and what is none: told with its line, its byte and its text."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.errors import SourceReadError

_GOOD = "a,b\n1,x\n2,y\n3,z\n"
_ROWS = [("1", "x"), ("2", "y"), ("3", "z")]


def test_a_short_and_a_long_record_are_put_aside(careful: Any) -> None:
    found = careful(_GOOD + "4\n5,v,w\n6,u\n")
    assert found.rows == [*_ROWS, ("6", "u")]
    assert found.rejects == [
        (5, 16, "csv.fields", "it has 1 field instead of 2", "4"),
        (6, 18, "csv.fields", "it has 3 fields instead of 2", "5,v,w"),
    ]


def test_a_quote_that_is_not_closed_takes_one_line_with_it(careful: Any) -> None:
    found = careful('a,b\n1,x\n2,"y\n3,z\n' + "4,w\n" * 500)
    assert len(found.rows) == 502
    assert found.rules == [(3, "csv.quote")]


def test_text_after_a_closing_quote_is_put_aside(careful: Any) -> None:
    found = careful(_GOOD + '4,"w" v\n5,"u"\n')
    assert found.rows == [*_ROWS, ("5", "u")]
    assert found.rejects[0][2:] == (
        "csv.quote",
        "a quote closes before its field ends",
        '4,"w" v',
    )


def test_the_lines_of_a_broken_record_stay_together(careful: Any) -> None:
    found = careful(_GOOD + '4,"w" v\nmore of it\n5,u\n')
    assert found.rows == [*_ROWS, ("5", "u")]
    assert [text for *_, text in found.rejects] == ['4,"w" v\nmore of it']


def test_a_byte_that_is_no_text_is_told_by_its_place(careful: Any) -> None:
    found = careful(_GOOD.encode() + "4,é".encode() + b"\xff\n5,u\n")
    assert found.rows == [*_ROWS, ("5", "u")]
    assert found.rejects == [
        (5, 16, "csv.encoding", "byte 0xFF at 20 of the file is no utf-8", r"4,é\xFF")
    ]


def test_half_a_character_of_utf_16_is_told(careful: Any) -> None:
    found = careful((_GOOD + "4,w").encode("utf-16") + b"w", Layout(encoding="utf-16"))
    assert found.rows == _ROWS
    assert found.rules == [(5, "csv.encoding")]


def test_a_value_that_is_not_of_a_type_that_holds_is_put_aside(careful: Any) -> None:
    found = careful("a,b\n1,x\n2.5,y\nz,z\n4,w\n5,v\n", types=("BIGINT", "VARCHAR"))
    assert found.rows == [(1, "x"), (4, "w"), (5, "v")]
    assert found.rejects == [
        (3, 8, "csv.type.a", "a is no BIGINT", "2.5,y"),
        (4, 14, "csv.type.a", "a is no BIGINT", "z,z"),
    ]


def test_line_ends_may_be_mixed(careful: Any) -> None:
    found = careful('a,b\r\n1,x\r2,"y\r\ny"\n3,z')
    assert found.rows == [("1", "x"), ("2", "y\r\ny"), ("3", "z")]


def test_blank_lines_and_comments_are_no_records(careful: Any) -> None:
    found = careful("a,b\n\n1,x\n# 2\n  \n2,y\n\n3,z\n", Layout(comment="#"))
    assert (found.rows, found.rejects) == (_ROWS, [])


def test_a_blank_line_of_one_column_is_null(careful: Any) -> None:
    assert careful("a\n1\n\n3\n", types=("VARCHAR",)).rows == [("1",), (None,), ("3",)]


def test_only_the_lines_of_the_table_are_read(careful: Any) -> None:
    layout = Layout(first=3, header=2, last=7)
    assert careful(f"title\n\nwho,what\n{_GOOD}total,3\n", layout).rows == _ROWS


def test_signs_of_several_characters_are_read(careful: Any) -> None:
    layout = Layout(delimiter="||", quote="''", escape="''")
    found = careful("a||b\n1||x|y\n2||''y||''''z''''''\n", layout)
    assert found.rows == [("1", "x|y"), ("2", "y||''z''")]


def test_an_escape_takes_delimiter_and_line_end_along(careful: Any) -> None:
    found = careful("a,b\n1,x\\,y\\\nz\n2,c:\\dir\n", Layout(quote="", escape="\\"))
    assert found.rows == [("1", "x,y\nz"), ("2", "c:\\dir")]


@pytest.mark.parametrize("sign", ["\x1e", "\x1f", "\0"])
def test_signs_that_we_use_ourselves_are_text(careful: Any, sign: str) -> None:
    found = careful(f"a||b\n1||x{sign}y\n{sign}||2\n", Layout(delimiter="||"))
    assert found.rows == [("1", f"x{sign}y"), (sign, "2")]


def test_a_file_most_of_whose_records_are_none_is_refused(careful: Any) -> None:
    with pytest.raises(SourceReadError, match="2 of its 3 records") as caught:
        careful("a,b\n1,x\n2\n3\n")
    assert "delimiter" in str(caught.value)


def test_a_file_with_a_bad_record_is_refused_where_the_user_wants_that(careful: Any) -> None:
    with pytest.raises(SourceReadError, match=r"a\.csv cannot be read: line 5: it has 1 field"):
        careful(_GOOD + "4\n", bad_rows="fail")
    with pytest.raises(SourceReadError, match="line 3: a is no BIGINT"):
        careful("a,b\n1,x\ny,y\n", types=("BIGINT", "VARCHAR"), bad_rows="fail")


def test_a_cell_of_twenty_megabytes_is_read(careful: Any) -> None:
    cell = "line of text, and more\n" * 900_000
    found = careful(f'a,b\n1,"{cell}"\n2,y\n')
    assert [len(text) for _, text in found.rows] == [len(cell), 1]


def test_ten_thousand_columns_are_read(careful: Any) -> None:
    width = 10_000
    line = ",".join(map(str, range(width)))
    found = careful(f'{line}\n{line}\n"0{line[1:]}\n{line}\n', types=("VARCHAR",) * width)
    assert [len(row) for row in found.rows] == [width, width]
    assert found.rules == [(3, "csv.quote")]
