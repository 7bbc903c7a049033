"""Files as partners send them, each with its truth, by somebody who had not seen the reader."""

from __future__ import annotations

from typing import Any

import pytest

import prefect_etl
from prefect_etl.errors import SourceReadError

LATE = "id,n\n" + "".join(f"{n},0\n" for n in range(1000, 26000))
FILES: dict[str, tuple[str | bytes, str, list[tuple[Any, ...]]]] = {
    "semicolons and quoted commas": (
        'id;name;note\n1;"Smith, John";"a;b"\n2;"Doe, Jane";c\n3;"X, Y";"say ""hi"""\n',
        "utf-8",
        [(1, "Smith, John", "a;b"), (2, "Doe, Jane", "c"), (3, "X, Y", 'say "hi"')],
    ),
    "addresses of several lines": (
        'id,name,address\n1,Ann,"Main St 1\nApt 4\n90210 LA"\n2,Bob,"Oak 2\nNY"\n3,Cyd,Elm 3\n',
        "utf-8",
        [
            (1, "Ann", "Main St 1\nApt 4\n90210 LA"),
            (2, "Bob", "Oak 2\nNY"),
            (3, "Cyd", "Elm 3"),
        ],
    ),
    "UTF-16 with a mark": ("id,name\n1,Zoë\n2,Łukasz\n", "utf-16", [(1, "Zoë"), (2, "Łukasz")]),
    "UTF-16 without": ("id\tname\n1\tZoe\n2\tLukas\n", "utf-16-le", [(1, "Zoe"), (2, "Lukas")]),
    "a mark before a quoted header": (
        '\ufeff"id","name"\n"1","a"\n"2","b"\n',
        "utf-8",
        [(1, "a"), (2, "b")],
    ),
    "dates that could be both stay text": (
        "id,d\n1,01/02/2023\n2,03/04/2023\n3,05/06/2023\n",
        "utf-8",
        [(1, "01/02/2023"), (2, "03/04/2023"), (3, "05/06/2023")],
    ),
    "zeros at the beginning": (
        "id,zip,qty\n007,01234,1\n008,90210,2\n123,00501,3\n",
        "utf-8",
        [("007", "01234", 1), ("008", "90210", 2), ("123", "00501", 3)],
    ),
    "zeros at the beginning, late": (
        LATE + "007,1\n",
        "utf-8",
        [*((str(n), 0) for n in range(1000, 26000)), ("007", 1)],
    ),
    "zeros at the beginning, late, between two bars": (
        "id||n\n" + "".join(f"{n}||0\n" for n in range(1000, 26000)) + "007||1\n",
        "utf-8",
        [*((str(n), 0) for n in range(1000, 26000)), ("007", 1)],
    ),
    "a line of Excel's that names the delimiter": (
        "sep=;\r\nid;name\r\n1;a,b\r\n2;c\r\n",
        "utf-8",
        [(1, "a,b"), (2, "c")],
    ),
    "the same in an encoding of Windows": (
        "sep=;\r\nid;Straße\r\n1;Köln\r\n",
        "cp1252",
        [(1, "Köln")],
    ),
    "a telephone's number, late": (
        LATE + "+49170,1\n",
        "utf-8",
        [*((str(n), 0) for n in range(1000, 26000)), ("+49170", 1)],
    ),
    "a name like a power of ten, late": (
        LATE + "12E4,1\n",
        "utf-8",
        [*((str(n), 0) for n in range(1000, 26000)), ("12E4", 1)],
    ),
    "names like powers of ten": (
        "sku,n\n12E4,1\n55E10,2\n71,3\n",
        "utf-8",
        [("12E4", 1), ("55E10", 2), ("71", 3)],
    ),
    "JSON in cells": (
        'id,payload\n1,"{""a"": 1, ""b"": [1,2]}"\n2,"{""a"": 2, ""b"": []}"\n',
        "utf-8",
        [(1, '{"a": 1, "b": [1,2]}'), (2, '{"a": 2, "b": []}')],
    ),
    "apostrophes": (
        "id,name,city\n1,O'Brien,Cork\n2,D'Arcy,L'Aquila\n3,'s-Hertogenbosch,NL\n",
        "utf-8",
        [(1, "O'Brien", "Cork"), (2, "D'Arcy", "L'Aquila"), (3, "'s-Hertogenbosch", "NL")],
    ),
    "single quotes": (
        "id,name\n1,'Smith, J'\n2,'Doe, K'\n3,'Lee, L'\n",
        "utf-8",
        [(1, "Smith, J"), (2, "Doe, K"), (3, "Lee, L")],
    ),
    "umlauts of Windows": (
        "id;straße;größe\n1;Königstraße;groß\n2;Äußere Gasse;klein\n",
        "cp1252",
        [(1, "Königstraße", "groß"), (2, "Äußere Gasse", "klein")],
    ),
    "Shift-JIS": (
        "番号,名前,住所\n1,山田太郎,東京都千代田区\n2,鈴木花子,大阪府大阪市北区\n3,佐藤表示,神奈川県横浜市\n",
        "shift_jis",
        [
            (1, "山田太郎", "東京都千代田区"),
            (2, "鈴木花子", "大阪府大阪市北区"),
            (3, "佐藤表示", "神奈川県横浜市"),
        ],
    ),
    "EUC-JP without kana": (
        "番号,住所\n1,東京都千代田区\n2,大阪府大阪市北区\n",
        "euc_jp",
        [(1, "東京都千代田区"), (2, "大阪府大阪市北区")],
    ),
    "umlauts after a million letters without": (
        "id;name\n" + f"1;{'x' * 90}\n" * 12_000 + "2;Müller\n3;Köln\n",
        "cp1252",
        [*((1, "x" * 90) for _ in range(12_000)), (2, "Müller"), (3, "Köln")],
    ),
    "umlauts after a million letters without, and decimal commas": (
        "id;n;name\n" + f"1;2,5;{'x' * 90}\n" * 12_000 + "2;3,5;Müller\n3;4,5;Köln\n",
        "cp1252",
        [*((1, 2.5, "x" * 90) for _ in range(12_000)), (2, 3.5, "Müller"), (3, 4.5, "Köln")],
    ),
    "one column": ("name\nalice\nbob\ncarol\n", "utf-8", [("alice",), ("bob",), ("carol",)]),
    "blank lines at the end": ("id,name\n1,a\n2,b\n\n\n", "utf-8", [(1, "a"), (2, "b")]),
    "carriage returns only": ("id,name\r1,a\r2,b\r3,c\r", "utf-8", [(1, "a"), (2, "b"), (3, "c")]),
    "line ends as they come": (
        "id,name\r\n1,a\n2,b\r\n3,c\n",
        "utf-8",
        [(1, "a"), (2, "b"), (3, "c")],
    ),
    "decimal commas in quotes": (
        'id,price,qty\n1,"1,50",3\n2,"12,75",4\n3,"1.234,00",5\n',
        "utf-8",
        [(1, 1.5, 3), (2, 12.75, 4), (3, 1234.0, 5)],
    ),
    "groups of thousands": (
        'id,amt\n1,"1,234.56"\n2,"12,345.00"\n3,7.00\n',
        "utf-8",
        [(1, 1234.56), (2, 12345.0), (3, 7.0)],
    ),
    "carets": ("id^name^q\n1^a^2\n2^b^3\n", "utf-8", [(1, "a", 2), (2, "b", 3)]),
    "two bars": ("id||name||q\n1||a||2\n2||b||3\n", "utf-8", [(1, "a", 2), (2, "b", 3)]),
    "unit separators": (
        "id\x1fname\x1fq\n1\x1fa\x1f2\n2\x1fb\x1f3\n",
        "utf-8",
        [(1, "a", 2), (2, "b", 3)],
    ),
    "years of two digits": (
        "id,d\n1,13.02.23\n2,04.12.23\n3,05.06.23\n",
        "utf-8",
        [(1, "2023-02-13"), (2, "2023-12-04"), (3, "2023-06-05")],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_partners_file_is_read_as_it_is_meant(tmp_path, name):
    text, encoding, truth = FILES[name]
    (tmp_path / "a.csv").write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    found = prefect_etl.read(tmp_path / "a.csv")
    rows = [tuple(row.values()) for row in found.table.to_pylist()]
    plain = [tuple(v if isinstance(v, int | float) else str(v) for v in row) for row in rows]
    assert plain == truth
    assert found.rejects.num_rows == 0


def test_a_page_of_html_is_called_one(tmp_path):
    (tmp_path / "a.csv").write_text("<!DOCTYPE html>\n<title>Login, please</title>\n")
    with pytest.raises(SourceReadError, match="is a page of HTML or XML, no CSV"):
        prefect_etl.read(tmp_path / "a.csv")


MANY = "".join(f"{n},n{n}\n" for n in range(30_000))


@pytest.mark.parametrize(
    ("text", "types", "line"),
    [
        ("id,name\n1,a\n2,b\nid,name\n3,c\n", ["int64", "string"], 4),
        ("code,name\nA,x\ncode,name\nB,y\n", ["string", "string"], 3),
        (f"id,name\n{MANY}id,name\n1,c\n", ["int64", "string"], 30_002),
        ("id||name\n1||a\nid||name\n3||c\n", ["int64", "string"], 3),
    ],
)
def test_a_header_line_that_comes_again_is_put_aside(tmp_path, text, types, line):
    (tmp_path / "a.csv").write_text(text)
    found = prefect_etl.read(tmp_path / "a.csv")
    assert [str(kind) for kind in found.table.schema.types] == types
    (reject,) = found.rejects.to_pylist()
    assert (reject["rule"], reject["line"]) == ("csv.header", line)


def test_a_header_line_that_comes_again_fails_a_file_where_that_is_asked_for(tmp_path):
    (tmp_path / "a.csv").write_text("id,name\n1,a\n2,b\nid,name\n3,c\n")
    with pytest.raises(SourceReadError, match="line 4: it is the header line again"):
        prefect_etl.read(tmp_path / "a.csv", bad_rows="fail")


def test_a_late_line_of_another_encoding_than_others_is_put_aside(tmp_path):
    lines = [
        b"id;name",
        *[b"1;" + b"x" * 90] * 12_000,
        "2;Köln".encode(),
        "3;Köln".encode("cp1252"),
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    found = prefect_etl.read(tmp_path / "a.csv")
    assert found.table["name"].to_pylist()[-1] == "Köln"
    assert found.rejects["rule"].to_pylist() == ["csv.encoding"]
