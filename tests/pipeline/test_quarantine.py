"""Rows in quarantine: where they came from, and what becomes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry

if TYPE_CHECKING:
    from conftest import Project


def entries(project: Project) -> list[QuarantineEntry]:
    with project.open() as workspace:
        return Quarantine(workspace.quarantine).entries("t")


def shown(entry: QuarantineEntry, columns: str) -> list[Any]:
    return duckdb.execute(f"SELECT {columns} FROM read_parquet('{entry.path}')").fetchall()


def test_a_row_keeps_the_key_of_its_dataset(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": ["Id", "day"]}
    project.dataset |= {"columns": {"rename": {"no": "Id"}}}
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "no,day,v\n7,2024-01-02,-1\n8,2024-01-02,1\n")
    project.load()
    ((key,),) = shown(entries(project)[0], "_key")
    assert json.loads(key) == {"Id": 7, "day": "2024-01-02"}


def test_columns_with_quarantines_own_names_are_kept_beside_them(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "_source,_ROW,v,_source_\nx,1,-1,y\n")
    project.load()
    (entry,) = entries(project)
    assert shown(entry, "_source, _row, _source__, _ROW_, _source_") == [("a.csv", 1, "x", 1, "y")]
    assert [name for _, name, _ in entry.columns] == ["_source", "_ROW", "v", "_source_"]


def test_a_file_says_which_versions_of_which_files_its_rows_are_of(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "v\n-1\n-2\n")
    project.write("b.csv", "v\n1\n")
    project.write("c.csv", "v\n-1\n")
    project.load()
    (entry,) = entries(project)
    assert [(s.position, s.rows) for s in entry.sources] == [("a.csv", 2), ("c.csv", 1)]
    assert (entry.loaded, entry.closed) == (True, "")


def test_rows_of_a_file_that_was_loaded_anew_are_stale(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "v\n-1\n")
    project.write("b.csv", "v\n-1\n")
    project.load()
    project.write("a.csv", "v\n5\n")
    project.load()
    (entry,) = entries(project)
    assert [bool(source.superseded) for source in entry.sources] == [True, False]
    assert not entry.closed
    project.write("b.csv", "v\n6\n")
    project.load()
    assert "load 3 has a later" in entries(project)[0].sources[1].superseded
    assert entries(project)[0].closed


def test_a_full_refresh_makes_all_stale(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "v\n-1\n")
    project.load()
    project.load(refresh=True)
    old, new = entries(project)
    assert "began from an empty table" in old.closed
    assert not new.closed


def test_closed_files_are_kept_as_long_as_loaded_batches(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "v\n-1\n")
    project.load()
    project.load(refresh=True)
    project.options["raw_retention_days"] = 0
    project.load(refresh=True)
    project.write("b.csv", "v\n1\n")
    project.load()
    assert [bool(entry.closed) for entry in entries(project)] == [False]


def test_a_table_follows_what_is_in_quarantine(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.dataset["quarantine_into"] = "t_rejected"
    project.write("a.csv", 'id,v\n1,5\n2,-1\n"=x",-2\n')
    project.load()
    columns = "rules, reasons, source, row_number, record, closed"
    rows = project.rows(f"SELECT {columns} FROM t_rejected")
    reason = "v is less than 0"
    assert rows == [
        ("v.ge", reason, "a.csv", 2, '{"id":"2","v":-1}', None),
        ("v.ge", reason, "a.csv", 3, '{"id":"=x","v":-2}', None),
    ]
    assert project.load().status == "unchanged"
    project.load(refresh=True)
    closed = "SELECT closed IS NOT NULL, count(*) FROM t_rejected GROUP BY 1"
    assert project.rows(closed) == [(False, 2), (True, 2)]


def test_a_table_that_was_missed_is_made_by_the_next_run(project: Project) -> None:
    project.dataset["contract"] = {"columns": {"v": {"ge": 0}}}
    project.write("a.csv", "v\n-1\n1\n")
    project.load()
    project.dataset["quarantine_into"] = "t_rejected"
    assert project.load().status == "unchanged"
    assert project.rows("SELECT source, row_number FROM t_rejected") == [("a.csv", 1)]
    assert project.load().status == "unchanged"


@pytest.mark.parametrize("into", ["t", "T"])
def test_a_table_of_quarantine_that_is_claimed_is_refused(project: Project, into: str) -> None:
    project.dataset["quarantine_into"] = into
    with pytest.raises(ConfigError, match="is claimed by"), project.open():
        pass
