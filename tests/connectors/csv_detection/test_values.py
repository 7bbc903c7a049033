"""Types are those of the values, where the values decide; text, where they do not."""

from __future__ import annotations

import pytest

from prefect_etl.connectors.files.csv.values import typed

KINDS: list[tuple[list[str], str]] = [
    (["1.234,56", "7,5"], "DOUBLE"),
    (["1,234.56", "7.5"], "DOUBLE"),
    (["1 234,56", "7,5"], "DOUBLE"),
    (["1'234.56", "7.5"], "DOUBLE"),
    (["1,234", "5,678"], "VARCHAR"),
    (["030 123 456", "040 123 456"], "VARCHAR"),
    (["10.0.0.1", "10.0.0.2"], "VARCHAR"),
    (["1.234.567", "x"], "VARCHAR"),
    (["13/02/2024", "01/02/2024"], "DATE"),
    (["02/13/2024", "01/02/2024"], "DATE"),
    (["01/02/2024", "03/02/2024"], "VARCHAR"),
    (["13.02.2024", "01.02.2024"], "DATE"),
    (["13 Feb 2024", "1 Mar 2024"], "DATE"),
    (["13.02.2024 10:30", "01.02.2024 11:00"], "TIMESTAMP"),
    (["31/02/2024"], "VARCHAR"),
    (["007", "12"], "VARCHAR"),
    (["0", "-1.5e3"], "DOUBLE"),
    (["12345678901234567890", "1"], "HUGEINT"),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_a_type_is_found(values: list[str], kind: str) -> None:
    assert typed(["c"], [values], (None, None)).types == (kind,)


def test_one_file_spells_its_numbers_in_one_way() -> None:
    found = typed(["a", "b"], [["1,5", "2,25"], ["1.5", "2.5"]], (None, None))
    assert found.types == ("VARCHAR", "DOUBLE")


def test_dates_of_an_unsure_order_are_text_and_told(read) -> None:
    reading, rows = read("d,n\n01/02/2024,1\n03/02/2024,2\n")
    assert rows == [("01/02/2024", 1), ("03/02/2024", 2)]
    assert "day first or month first" in reading.options["notes"][0]


def test_dates_that_the_user_says_are_read_so(read) -> None:
    _, rows = read("d,n\n01/02/2024,1\n03/02/2024,2\n", dates=["%d/%m/%Y"])
    assert [str(day) for day, _ in rows] == ["2024-02-01", "2024-02-03"]


def test_numbers_with_commas_are_numbers(read) -> None:
    reading, rows = read('a;b\n1.234,5;x\n-2,25;"y"\n')
    assert [kind for _, kind in reading.columns.pairs()] == ["DOUBLE", "VARCHAR"]
    assert rows == [(1234.5, "x"), (-2.25, "y")]
