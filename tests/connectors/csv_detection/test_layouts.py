"""How a file is written is found out, or the file is refused with what is to be said."""

from __future__ import annotations

from typing import Any

import pytest

from prefect_etl.connectors.files import FilesConnection, FilesDataset, FilesSource
from prefect_etl.connectors.files.csv import FORM
from prefect_etl.core.ledger import LedgerState
from prefect_etl.errors import SourceReadError

TABLE = "id,name,v\n" + "".join(f"{n},name {n},{n}\n" for n in range(8))
DIALECTS: dict[str, tuple[str, tuple[str, str, str]]] = {
    "semicolon": ("a;b\n1;x\n2;y\n", (";", '"', '"')),
    "tab": ("a\tb\n1\tx, y\n2\ty\n", ("\t", '"', '"')),
    "caret": ("a^b\n1^x\n2^y\n", ("^", '"', '"')),
    "two bars": ("a||b\n1||x\n2||y\n", ("||", '"', '"')),
    "single quotes": ("a,b\n1,'x,y'\n2,'z'\n", (",", "'", "'")),
    "a backslash before quotes": ('a,b\n1,"x \\"y\\", z"\n2,"z"\n', (",", '"', "\\")),
    "quotes that mean nothing": ('a,b\n1,5" x\n2,"7 y\n3,8" z\n4,"9 z\n', (",", "", "")),
    "commas in decimals": ("a;b\n1;2,5\n2;3,75\n", (";", '"', '"')),
    "lines in quotes": ('a,b\n1,"x\ny"\n2,"z"\n', (",", '"', '"')),
}


@pytest.mark.parametrize("kind", DIALECTS)
def test_a_dialect_is_found(kind: str, found) -> None:
    text, wanted = DIALECTS[kind]
    layout = found(text).layout
    assert (layout.delimiter, layout.quote, layout.escape) == wanted
    assert len(layout.names) == 2


def test_a_title_beyond_doubt_is_left_out_and_told(read) -> None:
    reading, rows = read(f"A report\nof the office\n\n{TABLE}")
    assert len(rows) == 8
    assert "first 3 lines" in reading.options["notes"][0]


def test_first_lines_that_may_be_records_are_refused(read) -> None:
    with pytest.raises(SourceReadError, match="first 1 lines do not look like the others") as error:
        read(f"1,2\n{TABLE}")
    assert "skip: 1" in str(error.value)


def test_blank_lines_before_the_table_are_none_of_it(read) -> None:
    assert len(read(f"\n\n{TABLE}")[1]) == 8


def test_several_tables_are_refused_until_one_is_chosen(read) -> None:
    two = f"{TABLE}\n\ncode,label\nA,first\nB,second\n"
    with pytest.raises(SourceReadError, match="2 tables, which begin in lines 1, 12"):
        read(two)
    assert read(two, block=2)[1] == [("A", "first"), ("B", "second")]
    assert len(read(two, block=1)[1]) == 8


def test_a_table_that_is_not_there_is_refused(read) -> None:
    with pytest.raises(SourceReadError, match="none with the number 3"):
        read(TABLE, block=3)


def test_quotes_that_mean_nothing_are_characters(read) -> None:
    _, rows = read(DIALECTS["quotes that mean nothing"][0])
    assert rows == [(1, '5" x'), (2, '"7 y'), (3, '8" z'), (4, '"9 z')]
    assert read('a,b\n1,"x"\n2,"y"\n', quote="")[1] == [(1, '"x"'), (2, '"y"')]


PINNED: list[tuple[str, dict[str, Any]]] = [
    (f"{TABLE}\n8 rows in all\n", {"footer": 2}),
    (TABLE.replace("3,name", "# seen\n3,name"), {"comment": "#"}),
    (f"x,y\n{TABLE}", {"skip": 1}),
    (TABLE.replace(",", "<>"), {"delimiter": "<>"}),
]


@pytest.mark.parametrize(("text", "pins"), PINNED, ids=[next(iter(p)) for _, p in PINNED])
def test_what_the_user_says_counts(text: str, pins: dict[str, Any], read) -> None:
    assert len(read(text, **pins)[1]) == 8


def test_a_clean_file_is_left_to_the_fast_reader(read) -> None:
    assert "careful" not in read(TABLE)[0].options


def test_ten_thousand_columns_are_found(found) -> None:
    wide = ",".join(f"c{n}" for n in range(10_000))
    row = ",".join(["1"] * 10_000)
    assert len(found(f"{wide}\n{row}\n{row}\n").columns) == 10_000


def test_what_is_said_of_a_file_is_how_it_is_read(session, tmp_path) -> None:
    text = "Bericht\n\nName;Betrag;Tag\n" + "".join(
        f"Müller {n};1.234,5{n};1{n}.03.2024\n" for n in range(8)
    )
    (tmp_path / "a.csv").write_bytes(text.encode("cp1252"))
    dataset = FilesDataset(name="t", path="a.csv")
    source = FilesSource(FilesConnection(folder=tmp_path), dataset, session)
    explained = FORM.explain(source.place, source.units(LedgerState())[0])
    assert explained.pins == {
        "encoding": "cp1252",
        "delimiter": ";",
        "header": True,
        "skip": 2,
        "decimal": ",",
        "thousands": ".",
        "dates": ["%d.%m.%Y"],
    }
    assert all(0 <= fact.confidence <= 1 for fact in explained.facts if fact.confidence is not None)
