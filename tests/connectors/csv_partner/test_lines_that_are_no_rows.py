"""Totals, trailers, units and lines that name a delivery: never lost, never silently a type."""

from __future__ import annotations

import pytest

import prefect_etl
from prefect_etl.errors import SourceReadError

MANY = "".join(f"{n:02}.01.2023;{n},50\n" for n in range(1, 29))


def _read(folder, text, **pins):
    (folder / "a.csv").write_text(text, encoding="utf-8")
    return prefect_etl.read(folder / "a.csv", **pins)


def _told(found):
    return " ".join(map(str, found.repairs))


@pytest.mark.parametrize(
    ("text", "types", "line"),
    [
        (f"Tag;Betrag\n{MANY}Summe;406,00\n", ["date32[day]", "double"], 30),
        ("id,n\n1,2\n2,3\nTotal,5\n", ["int64", "int64"], 4),
        ("id,n\n" + "1,2\n" * 30_000 + "Total:,60000\n", ["int64", "int64"], 30_002),
        ("id,n\n" + "1,2\n" * 70_000 + "TRL,x\n", ["int64", "int64"], 70_002),
        ("id,n\n1,2\n2,3\n\nTotal,5\n", ["int64", "int64"], 5),
        ("id||n\n1||2\n2||3\ntotal||5\n", ["int64", "int64"], 4),
    ],
)
def test_a_total_that_does_not_fit_makes_no_column_text(tmp_path, text, types, line):
    found = _read(tmp_path, text)
    assert [str(kind) for kind in found.table.schema.types] == types
    assert found.rejects["line"].to_pylist() == [line]


def test_a_total_that_fits_is_a_row_and_told(tmp_path):
    found = _read(tmp_path, "item,n\npear,3\nfig,4\nTotal,7\n")
    assert found.table["item"].to_pylist() == ["pear", "fig", "Total"]
    assert "say footer: 1" in _told(found)


def test_another_late_value_makes_a_column_text_though_there_is_a_total(tmp_path):
    found = _read(tmp_path, "id,n\n" + "1,2\n" * 30_000 + "x,2\nTotal,60002\n")
    assert found.table["id"].to_pylist()[-2:] == ["x", "Total"]
    assert found.rejects.num_rows == 0


def test_a_line_that_names_the_delivery_is_no_header(tmp_path):
    found = _read(tmp_path, "HDR|20230101|ACME\nid|name|n\n1|a|10.5\n2|b|11.5\nTRL|2\n")
    assert found.table.column_names == ["id", "name", "n"]
    assert found.table["n"].to_pylist() == [10.5, 11.5]
    assert "the first 1 lines are no part of the table" in _told(found)
    assert found.rejects["text"].to_pylist() == ["TRL|2"]


def test_a_column_may_be_called_header(tmp_path):
    assert _read(tmp_path, "header,n\na,1\nb,2\n").table.column_names == ["header", "n"]


def test_units_below_the_header_are_told(tmp_path):
    text = "time,speed\ns,m/s\n1,2.5\n2,3.5\n3,4.5\n"
    assert "header_lines: 2" in _told(_read(tmp_path, text))
    found = _read(tmp_path, text, header_lines=2)
    assert found.table.to_pylist()[0] == {"time_s": 1, "speed_m/s": 2.5}


def test_years_name_columns(tmp_path):
    found = _read(tmp_path, "country,2019,2020\nDE,1.5,2.5\nFR,2.5,3.5\n")
    assert found.table.column_names == ["country", "2019", "2020"]
    assert found.table["2019"].to_pylist() == [1.5, 2.5]


def test_years_in_every_row_are_values(tmp_path):
    found = _read(tmp_path, "DE,2019,2020\nFR,2018,2020\nIT,2017,2021\n")
    assert found.table.num_rows == 3


def test_a_second_table_of_the_same_width_is_seen_by_its_header(tmp_path):
    text = "id,name,qty\n1,apple,3\n2,pear,4\n\nstore,city,sales\nS1,Berlin,100\nS2,Bonn,200\n"
    with pytest.raises(SourceReadError, match="has 2 tables, which begin in lines 1, 5"):
        _read(tmp_path, text)
    second = _read(tmp_path, text, block=2)
    assert second.table["sales"].to_pylist() == [100, 200]


def test_a_blank_line_within_one_table_parts_nothing(tmp_path):
    assert _read(tmp_path, "id,n\n1,2\n\n3,4\n5,6\n").table["n"].to_pylist() == [2, 4, 6]
