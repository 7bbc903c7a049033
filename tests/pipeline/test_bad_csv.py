"""Bad records of CSV files on their whole way: table, accounting, quarantine, report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from tests.pipeline.conftest import Project

_GOOD = "".join(f"{n},name {n}\n" for n in range(1, 9))


def test_bad_records_of_several_files_are_put_aside_with_their_place(project: Project) -> None:
    project.write("a.csv", f"id,name\n{_GOOD}9\n10,ten\n")
    project.write("b.csv", f'id,name\n{_GOOD.replace("name", "other")}11,"x" y\n12,twelve\n')
    report = project.load()
    assert (report.counts.read, report.counts.quarantined) == (20, 2)
    assert len(project.rows()) == 18
    (file,) = (project.root / ".prefect_etl").rglob("quarantine/**/*.parquet")
    aside = duckdb.sql(
        f"SELECT _rules, _source, _line, _text FROM '{file}' ORDER BY _source"
    ).fetchall()
    assert aside == [
        (["csv.fields"], "a.csv", 10, "9"),
        (["csv.quote"], "b.csv", 10, '11,"x" y'),
    ]


def test_repairs_are_reported(project: Project) -> None:
    project.dataset["bad_rows"] = "repair"
    project.write("a.csv", f'id,name\n{_GOOD}9,"x" y\n10,"ten"\n')
    report = project.load()
    assert (report.counts.read, report.counts.quarantined) == (10, 0)
    assert (9, '"x" y') in project.rows()
    assert [str(repair) for repair in report.repairs] == [
        "a.csv: stray quotes are taken as they stand (once, in line 10)"
    ]


def test_a_wrong_value_far_below_makes_a_new_column_text(project: Project) -> None:
    project.write("a.csv", "v\n" + "1\n" * 60_000 + "x\n")
    assert project.load().counts.quarantined == 0
    assert project.types()["v"] == "VARCHAR"
