"""What is mended, where the user asks for it: each repair is told with its line."""

from __future__ import annotations

from typing import Any

import pytest

_HEAD = "a,b,c\n1,x,y\n"
MENDED = [
    ("2,z\n", ("2", "z", None), "csv.fields", "missing fields at the end are null"),
    ("2,z,w,\n", ("2", "z", "w"), "csv.surplus", "surplus empty fields at the end are dropped"),
    ('2,"z" v,w\n', ("2", '"z" v', "w"), "csv.quote", "stray quotes are taken as they stand"),
    (
        '2,"he said "no" to me",w\n',
        ("2", 'he said "no" to me', "w"),
        "csv.quote",
        "stray quotes are taken as they stand",
    ),
    ('2,"z,w\n', ("2", '"z', "w"), "csv.quote", "stray quotes are taken as they stand"),
    ("2,z\0,w\n", ("2", "z", "w"), "csv.nul", "NUL characters are dropped"),
    (
        b"2,\x80,w\n",
        ("2", "€", "w"),
        "csv.encoding",
        "bytes that are no text are read as CP-1252",
    ),
]


@pytest.mark.parametrize(("line", "row", "kind", "said"), MENDED)
def test_a_record_is_mended(
    careful: Any, line: str | bytes, row: tuple[Any, ...], kind: str, said: str
) -> None:
    data = _HEAD.encode() + (line if isinstance(line, bytes) else line.encode()) + b"3,u,v\n"
    found = careful(data, types=("VARCHAR",) * 3, bad_rows="repair")
    assert found.rows == [("1", "x", "y"), row, ("3", "u", "v")]
    assert [(r.kind, r.said, r.count, r.line) for r in found.repairs] == [(kind, said, 1, 3)]


def test_what_cannot_be_mended_is_put_aside(careful: Any) -> None:
    found = careful(_HEAD + "2,z,w,more\n3,u,v\n", types=("VARCHAR",) * 3, bad_rows="repair")
    assert found.rows == [("1", "x", "y"), ("3", "u", "v")]
    assert found.rules == [(3, "csv.fields")]


def test_repairs_of_one_kind_are_counted(careful: Any) -> None:
    found = careful(_HEAD + "2,z\n" * 3, types=("VARCHAR",) * 3, bad_rows="repair")
    assert [str(repair) for repair in found.repairs] == [
        "a.csv: missing fields at the end are null (3 times, first in line 3)"
    ]
