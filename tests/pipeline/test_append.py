"""Append: every row of every new file, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project


def test_every_row_is_loaded_and_accounted_for(project: Project) -> None:
    project.write("a.csv", "id,name\n1,a\n2,b\n")
    project.write("b.csv", "id,name\n3,c\n")
    report = project.load()
    assert (report.status, report.counts.read, report.counts.inserted) == ("loaded", 3, 3)
    assert project.rows() == [(1, "a"), (2, "b"), (3, "c")]


def test_a_second_run_with_nothing_new_loads_nothing(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    report = project.load()
    assert (report.status, report.reason, report.version) == ("unchanged", "nothing new", 1)


def test_a_new_file_is_loaded_alone(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\n2\n")
    report = project.load()
    assert (report.units, report.counts.read, report.version) == (1, 1, 2)
    assert project.rows() == [(1,), (2,)]


def test_rows_of_a_changed_file_replace_its_old_rows(project: Project) -> None:
    project.write("a.csv", "id\n1\n2\n")
    project.write("b.csv", "id\n3\n")
    project.load()
    project.write("a.csv", "id\n7\n")
    report = project.load()
    assert (report.counts.inserted, report.counts.replaced) == (1, 2)
    assert project.rows() == [(3,), (7,)]


def test_a_touched_file_with_the_same_bytes_is_not_loaded_again(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("a.csv", "id\n1\n")
    assert project.load().status == "unchanged"


def test_equal_files_under_two_names_are_two_units(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.write("b.csv", "id\n1\n")
    project.load()
    assert project.rows() == [(1,), (1,)]


def test_a_removed_file_leaves_its_rows(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    removed = project.write("b.csv", "id\n2\n")
    project.load()
    removed.unlink()
    assert project.load().status == "unchanged"
    assert project.rows() == [(1,), (2,)]


def test_without_the_unit_column_a_changed_file_is_refused(project: Project) -> None:
    project.dataset["unit_column"] = False
    project.write("a.csv", "id\n1\n")
    project.load()
    assert project.types() == {"id": "BIGINT"}
    project.write("a.csv", "id\n2\n")
    report = project.fail()
    assert "a.csv changed" in report.reason
    assert "--full-refresh" in report.hint
    assert project.rows("SELECT * FROM t") == [(1,)]


def test_full_refresh_loads_everything_anew(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.write("b.csv", "id\n2\n")
    project.load()
    project.dataset["where"] = "id > 1"
    report = project.load(refresh=True)
    assert (report.counts.inserted, report.counts.filtered) == (1, 1)
    assert project.rows() == [(2,)]
    assert project.load().status == "unchanged"


def test_where_select_and_rename_shape_the_table(project: Project) -> None:
    project.dataset |= {
        "where": "kind = 'x'",
        "columns": {"select": ["id", "temp"], "rename": {"temp": "temperature"}},
    }
    project.write("a.csv", "id,kind,temp\n1,x,20\n2,y,30\n3,,40\n")
    report = project.load()
    assert (report.counts.read, report.counts.inserted, report.counts.filtered) == (3, 1, 2)
    assert project.types() == {"id": "BIGINT", "temperature": "BIGINT", "_etl_unit_id": "BIGINT"}
    assert project.rows() == [(1, 20)]


def test_into_and_schema_name_the_table(project: Project) -> None:
    project.dataset |= {"into": "People", "schema": "raw data"}
    project.write("a.csv", "id\n1\n")
    project.load()
    assert project.rows('SELECT id FROM "raw data"."People"') == [(1,)]


def test_many_small_files_share_one_raw_file(project: Project) -> None:
    for number in range(300):
        project.write(f"{number:03}.csv", f"id,n\n{number},0\n{number},1\n")
    report = project.load()
    assert (report.units, report.counts.inserted) == (300, 600)
    assert len(list((project.root / ".prefect_etl").rglob("data.parquet"))) == 1
    expected = [(number + 1, 2) for number in range(300)]
    counted = project.rows("SELECT _etl_unit_id, count(*) FROM t GROUP BY 1")
    assert sorted(counted) == expected
    project.write("007.csv", "id,n\n-7,0\n")
    assert project.load().counts.replaced == 2


def test_a_table_that_is_not_ours_is_not_touched(project: Project) -> None:
    import duckdb

    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
    project.write("a.csv", "id\n1\n")
    report = project.fail()
    assert "was not made by a pipeline" in report.reason
    assert project.rows("SELECT * FROM t") == [(42,)]


def test_a_table_that_was_dropped_is_missed(project: Project) -> None:
    import duckdb

    project.write("a.csv", "id\n1\n")
    project.load()
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute("DROP TABLE t")
    report = project.fail()
    assert "the table is gone" in report.reason
    project.load(refresh=True)
    assert project.rows() == [(1,)]


def test_names_of_every_kind_are_quoted(project: Project) -> None:
    naughty = ['a"b', "select", "x; DROP TABLE t", "ümläut", "with space", "semi;colon", "'"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in naughty)
    project.dataset |= {"into": 'ta"ble; --', "delimiter": ",", "quote": '"', "escape": '"'}
    project.write("a.csv", header + "\n" + ",".join("1" * len(naughty)) + "\n")
    project.load()
    assert set(naughty) < set(project.types('ta""ble; --'))


@pytest.mark.parametrize("name", ["data[1].csv", "what?.csv", "st*r.csv", "it's.csv", "a b.csv"])
def test_a_file_is_not_taken_for_a_glob(project: Project, name: str) -> None:
    project.write(name, "id\n1\n")
    project.write("data1.csv", "id\n2\n")
    assert project.load().units == 2
    assert project.rows() == [(1,), (2,)]
