"""Names of columns are different, never empty, and those of the file where they can be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.connectors.files.csv.header import joined_names, unique_names

CELLS = st.lists(
    st.sampled_from(["a", "A", "a_2", "", " ", "b", "column_2", "ß", "ss"]), max_size=9
)


@given(CELLS)
def test_names_are_different_and_never_empty(cells: list[str]) -> None:
    names = unique_names(cells)
    assert len(names) == len(cells)
    assert len({name.casefold() for name in names}) == len(cells)
    assert all(names)


@given(st.lists(st.text(min_size=1).filter(lambda t: t == t.strip() and "\0" not in t), max_size=9))
def test_names_that_differ_stay_as_they_are(cells: list[str]) -> None:
    if len({cell.casefold() for cell in cells}) == len(cells):
        assert unique_names(cells) == tuple(cells)


@given(st.lists(CELLS, min_size=1, max_size=3))
def test_any_lines_of_a_header_make_names(lines: list[list[str]]) -> None:
    names = joined_names(lines)
    assert len(names) == max(map(len, lines))
    assert len({name.casefold() for name in names}) == len(names)


def test_a_second_column_of_a_name_and_one_without_are_told(read, session) -> None:
    reading, rows = read("a,a,,b\n1,2,3,4\n5,6,7,8\n")
    assert reading.columns.names == ("a", "a_2", "column_3", "b")
    assert rows == [(1, 2, 3, 4), (5, 6, 7, 8)]
    assert reading.options["notes"] == [
        "a column without a name is column_3",
        "the second column a is a_2",
    ]


def test_several_lines_name_columns_together(read) -> None:
    reading, rows = read(",2024,\nid,net,gross\n1,2,3\n4,5,6\n", header_lines=2)
    assert reading.columns.names == ("id", "2024_net", "2024_gross")
    assert rows == [(1, 2, 3), (4, 5, 6)]


def test_a_file_without_a_header_has_numbered_columns(read) -> None:
    reading, rows = read("1;'a;b'\n2;'c'\n")
    assert reading.columns.names == ("column0", "column1")
    assert rows == [(1, "a;b"), (2, "c")]
