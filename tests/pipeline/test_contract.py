"""Contracts: bad rows are put aside, refused or counted, and never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from conftest import Project


REASONS = ["v is less than 0", "name is null"]


def quarantined(path: str | None) -> list[Any]:
    assert path is not None
    shown = "* EXCLUDE (_line, _key, _text)"
    return duckdb.execute(f"SELECT {shown} FROM read_parquet('{path}')").fetchall()


def test_a_bad_row_is_put_aside_with_reason_and_place(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}, "name": {"nullable": False}}}
    project.write("a.csv", "id,v,name\n1,5,x\n2,-1,\n")
    project.write("b.csv", "id,v,name\n3,-2,y\n")
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (1, 2)
    run_id = quarantined(report.quarantine)[0][-1]
    assert quarantined(report.quarantine) == [
        (2, -1, None, ["v.ge", "name.nullable"], REASONS, "a.csv", 2, run_id),
        (3, -2, "y", ["v.ge"], ["v is less than 0"], "b.csv", 1, run_id),
    ]


@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ({"isin": ["a", "b'c"]}, ["a", "b'c"], ["d"]),
        ({"pattern": "[A-Z]{3}"}, ["EWR"], ["EW", "EWRX", "ewr"]),
        ({"min_length": 2, "max_length": 3}, ["ab", "abc"], ["a", "abcd"]),
    ],
)
def test_rules_on_text(
    project: Project, rules: dict[str, Any], good: list[str], bad: list[str]
) -> None:
    project.dataset["contract"] = {"columns": {"v": rules}}
    project.write("a.csv", "v,n\n" + "".join(f'"{value}",1\n' for value in good + bad))
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (len(good), len(bad))
    assert project.rows("SELECT v FROM t") == sorted((value,) for value in good)


def test_rules_on_numbers(project: Project) -> None:
    project.dataset["contract"] = {
        "columns": {"a": {"gt": 0, "lt": 10}, "b": {"ge": 1.5, "le": 2.5}}
    }
    project.write("a.csv", "a,b\n1,1.5\n0,2\n10,2\n5,2.6\n,\n")
    assert project.load().counts.quarantined == 3


def test_the_first_good_row_of_a_unique_value_stays(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"id": {"unique": True}, "v": {"ge": 0}}}
    project.write("a.csv", "id,v\n1,-1\n1,5\n1,6\n2,7\n")
    report = project.load()
    assert project.rows() == [(1, 5), (2, 7)]
    assert {rule.rule: rule.rows for rule in report.rules} == {"v.ge": 1, "id.unique": 1}


def test_a_value_that_does_not_convert_is_put_aside_as_it_was(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"type": "int64"}}}
    project.write("a.csv", "id,v\n" + "1,1\n" * 70_000 + "2,many\n")
    report = project.load()
    assert report.counts.quarantined == 1
    assert project.types()["v"] == "BIGINT"
    assert quarantined(report.quarantine)[0][:4] == (2, "many", ["v.type"], ["v is not BIGINT"])


def test_more_bad_rows_than_allowed_fail_the_load(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}, "max_rejected": "10%"}
    project.write("a.csv", "v\n" + "1\n" * 9 + "-1\n")
    project.load()
    project.write("b.csv", "v\n1\n-1\n")
    report = project.fail()
    assert "1 of 2 rows (50.00%)" in report.reason
    assert project.rows("SELECT count(*) FROM t") == [(9,)]


def test_fail_refuses_the_load(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}, "on_violation": "fail"}
    project.write("a.csv", "v\n1\n-1\n")
    assert "1 rows: v is less than 0" in project.fail().reason
    assert not project.warehouse.exists()


def test_warn_loads_and_counts(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}, "on_violation": "warn"}
    project.write("a.csv", "v\n1\n-1\n")
    report = project.load()
    assert (report.counts.inserted, report.rules[0].rows, report.rules[0].on_violation) == (
        2,
        1,
        "warn",
    )


def test_a_contract_on_a_column_that_is_not_there_is_named(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"nope": {"ge": 0}}}
    project.write("a.csv", "v\n1\n")
    assert "contract: there is no column nope" in project.fail().reason


def test_rows_left_out_by_where_are_not_judged(project: Project) -> None:
    project.dataset |= {"where": "v > -5", "contract": {"columns": {"v": {"ge": 0}}}}
    project.write("a.csv", "v\n1\n-1\n-9\n")
    counts = project.load().counts
    assert (counts.inserted, counts.quarantined, counts.filtered) == (1, 1, 1)


def test_a_fraction_is_no_whole_number(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"type": "int64"}}}
    project.write("a.csv", "id,v\n1,12.0\n2,1.5\n")
    report = project.load()
    assert project.rows() == [(1, 12)]
    assert quarantined(report.quarantine)[0][:2] == (2, 1.5)
