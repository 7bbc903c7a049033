"""Columns are added, numbers widened; all else is refused with the difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Project


def test_a_new_column_is_added(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id,name\n2,b\n")
    assert project.load().schema_changes == ("column name VARCHAR added",)
    assert project.rows() == [(1, None), (2, "b")]


def test_files_of_one_load_may_have_different_columns(project: Project) -> None:
    project.write("a.csv", "id,x\n1,9\n")
    project.write("b.csv", "y,id\nw,2\n")
    project.load()
    assert project.rows("SELECT id, x, y FROM t") == [(1, 9, None), (2, None, "w")]


def test_a_column_that_is_missing_is_null(project: Project) -> None:
    project.write("a.csv", "id,name\n1,a\n")
    project.load()
    project.write("b.csv", "id\n2\n")
    project.load()
    assert project.rows() == [(1, "a"), (2, None)]


def test_numbers_are_widened(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\n2.5\n")
    assert project.load().schema_changes == ("column id widened from BIGINT to DOUBLE",)
    assert project.rows() == [(1.0,), (2.5,)]


def test_a_widening_that_would_change_a_value_is_refused(project: Project) -> None:
    project.write("a.csv", "id\n9007199254740993\n")
    project.load()
    project.write("b.csv", "id\n2.5\n")
    report = project.fail()
    assert "9007199254740993" in report.reason
    assert project.rows() == [(9007199254740993,)]


def test_numbers_that_become_text_are_refused(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\nabc\n")
    report = project.fail()
    assert "column id is BIGINT and would be VARCHAR" in report.reason
    assert "types:" in report.hint
    assert project.rows() == [(1,)]


def test_text_stays_text_though_a_file_looks_like_numbers(project: Project) -> None:
    project.write("a.csv", "zip\nA1\n")
    project.load()
    project.write("b.csv", "zip\n00702\n")
    project.load()
    assert project.rows() == [("00702",), ("A1",)]


def test_text_stays_text_also_under_another_name(project: Project) -> None:
    project.dataset["naming"] = "snake_case"
    project.write("a.csv", "Zip Code\nA1\n")
    project.load()
    project.write("b.csv", "Zip Code\n702\n")
    project.load()
    assert project.rows() == [("702",), ("A1",)]


def test_numbers_stay_numbers_though_one_begins_with_zeros(project: Project) -> None:
    project.write("a.csv", "n\n1\n")
    project.load()
    project.write("b.csv", "n\n" + "5\n" * 30_000 + "007\n")
    project.load()
    assert project.rows("SELECT count(*) FROM t WHERE n = 7") == [(1,)]


def test_a_late_value_of_another_type_is_found_in_the_first_load(project: Project) -> None:
    project.write("a.csv", "id,v\n" + "".join(f"{n},{n}\n" for n in range(70_000)) + "70000,x\n")
    project.write("b.csv", "id,v\n1,007\n")
    project.load()
    assert project.types()["v"] == "VARCHAR"
    assert project.rows("SELECT v FROM t WHERE v = '007'") == [("007",)]


def test_a_late_fraction_makes_numbers_doubles(project: Project) -> None:
    project.write("a.csv", "v\n" + "1\n" * 70_000 + "1.5\n")
    project.load()
    assert project.types()["v"] == "DOUBLE"


def test_a_late_long_integer_is_not_rounded(project: Project) -> None:
    project.write("a.csv", "v\n" + "1\n" * 70_000 + "123456789012345678901\n")
    project.load()
    assert project.rows("SELECT v FROM t WHERE length(v::VARCHAR) > 1") == [
        ("123456789012345678901",)
    ]


def test_a_column_of_nulls_does_not_decide_a_type(project: Project) -> None:
    project.write("a.csv", "id,v\n1,\n")
    project.write("b.csv", "id,v\n2,7\n")
    project.load()
    assert project.types()["v"] == "BIGINT"


def test_a_pinned_type_holds(project: Project) -> None:
    project.dataset["types"] = {"id": "string"}
    project.write("a.csv", "id\n007\n")
    project.load()
    assert project.rows() == [("007",)]


def test_a_value_that_breaks_a_pin_is_put_aside(project: Project) -> None:
    project.dataset["types"] = {"id": "int64"}
    project.write("a.csv", "id\n1\nx\n")
    report = project.load()
    assert (report.counts.read, report.counts.quarantined) == (2, 1)
    assert project.rows() == [(1,)]


def test_a_value_that_breaks_a_pin_refuses_the_file_where_that_is_wanted(project: Project) -> None:
    project.dataset |= {"types": {"id": "int64"}, "bad_rows": "fail"}
    project.write("a.csv", "id\n1\nx\n")
    assert "a.csv cannot be read: line 3: id is no BIGINT" in project.fail().reason


def test_a_value_that_is_not_of_the_tables_type_is_put_aside(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\n2\nx\n3\n")
    assert project.load().counts.quarantined == 1
    assert project.rows() == [(1,), (2,), (3,)]
    assert project.types()["id"] == "BIGINT"


def test_most_values_of_another_type_than_the_tables_are_a_change_of_schema(
    project: Project,
) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\nx\ny\n3\n")
    assert "id" in project.fail().reason


def test_a_frozen_schema_refuses_new_columns(project: Project) -> None:
    project.dataset["evolution"] = "freeze"
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id,name\n2,b\n")
    assert "column name VARCHAR is new" in project.fail().reason


def test_plan_tells_schema_changes_before_they_happen(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id,name\n2.5,b\n")
    assert project.plan().schema_changes == (
        "column name VARCHAR added",
        "column id widened from BIGINT to DOUBLE",
    )


def test_a_late_fraction_is_not_rounded_into_the_table(project: Project) -> None:
    project.write("a.csv", "v\n1\n")
    project.load()
    project.write("b.csv", "v\n" + "1\n" * 70_000 + "2.5\n")
    assert project.load().schema_changes == ("column v widened from BIGINT to DOUBLE",)
    assert project.rows("SELECT v FROM t WHERE v <> 1") == [(2.5,)]


def test_a_fraction_in_a_pinned_integer_is_put_aside(project: Project) -> None:
    project.dataset["types"] = {"v": "int64"}
    project.write("a.csv", "v\n1\n2.5\n")
    assert project.load().counts.quarantined == 1
    assert project.rows() == [(1,)]


def test_integers_longer_than_64_bits_are_exact(project: Project) -> None:
    project.write("a.csv", "id\n12345678901234567890\n1\n")
    project.load()
    assert project.types()["id"] == "HUGEINT"
    assert project.rows() == [(1,), (12345678901234567890,)]


def test_long_integers_among_fractions_stay_text(project: Project) -> None:
    project.write("a.csv", "v\n12345678901234567890\n1.5\n")
    project.load()
    assert project.rows() == [("1.5",), ("12345678901234567890",)]


def test_a_pin_does_not_round_json(project: Project) -> None:
    project.dataset |= {"path": "*.json", "types": {"v": "int64"}, "bad_rows": "fail"}
    project.write("a.json", '[{"v": 1}, {"v": 2.5}]')
    assert "v is a number that does not fit, and the column is BIGINT" in project.fail().reason
    project.write("a.json", '[{"v": 1.0}, {"v": 2}]')
    project.load()
    assert project.rows() == [(1,), (2,)]


def test_a_cast_does_not_round_parquet(project: Project) -> None:
    import duckdb

    project.dataset |= {"path": "*.parquet", "columns": {"cast": {"v": "int32"}}}
    path = project.data / "a.parquet"
    duckdb.execute(f"COPY (SELECT 1.5::DOUBLE AS v) TO '{path}' (FORMAT parquet)")
    assert 'column "v" has a number that is not whole' in project.fail().reason
    duckdb.execute(f"COPY (SELECT 3.0::DOUBLE AS v) TO '{path}' (FORMAT parquet)")
    project.load()
    assert project.rows() == [(3,)]
