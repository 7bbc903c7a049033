"""Merge: one row a key, the later one, and deletions that stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

ALL = "SELECT * FROM t"


@pytest.fixture(autouse=True)
def merging(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": "id"}


def test_a_key_is_updated_inserted_or_left(project: Project) -> None:
    project.write("a.csv", "id,v\n1,a\n2,b\n")
    project.load()
    project.write("b.csv", "id,v\n2,B\n3,c\n1,a\n")
    counts = project.load().counts
    assert (counts.updated, counts.inserted, counts.unchanged) == (1, 1, 1)
    assert project.rows(ALL) == [(1, "a"), (2, "B"), (3, "c")]


def test_the_last_file_and_row_wins_within_a_load(project: Project) -> None:
    project.write("a.csv", "id,v\n1,a\n1,b\n")
    project.write("b.csv", "id,v\n1,c\n1,d\n")
    counts = project.load().counts
    assert (counts.inserted, counts.superseded) == (1, 3)
    assert project.rows(ALL) == [(1, "d")]


def test_rows_without_a_key_are_put_aside(project: Project) -> None:
    project.write("a.csv", "id,v\n1,a\n,b\n")
    report = project.load()
    assert (report.counts.inserted, report.counts.quarantined) == (1, 1)
    assert report.rules[0].rule == "id.key"


def test_with_a_cursor_an_older_row_never_overwrites(project: Project) -> None:
    project.dataset["cursor"] = "at"
    project.write("a.csv", "id,at,v\n1,5,new\n")
    project.load()
    project.write("b.csv", "id,at,v\n1,4,old\n")
    assert project.load().counts.superseded == 1
    assert project.rows(ALL) == [(1, 5, "new")]


def test_with_a_cursor_the_highest_wins_within_a_load(project: Project) -> None:
    project.dataset["cursor"] = "at"
    project.write("a.csv", "id,at,v\n1,9,high\n1,3,low\n1,,none\n")
    counts = project.load().counts
    assert (counts.inserted, counts.superseded) == (1, 2)
    assert project.rows(ALL) == [(1, 9, "high")]


def test_a_deletion_removes_and_an_older_row_does_not_bring_it_back(project: Project) -> None:
    project.dataset |= {"cursor": "at", "deleted_when": "v = 'gone'"}
    project.write("a.csv", "id,at,v\n1,1,x\n2,1,y\n")
    project.load()
    project.write("b.csv", "id,at,v\n1,5,gone\n")
    assert project.load().counts.deleted == 1
    assert project.rows(ALL) == [(2, 1, "y")]
    project.write("c.csv", "id,at,v\n1,4,late\n")
    assert project.load().counts.superseded == 1
    project.write("d.csv", "id,at,v\n1,6,back\n")
    assert project.load().counts.inserted == 1
    assert project.rows(ALL) == [(1, 6, "back"), (2, 1, "y")]


def test_a_changed_file_is_merged_again(project: Project) -> None:
    project.write("a.csv", "id,v\n1,a\n2,b\n")
    project.load()
    project.write("a.csv", "id,v\n1,A\n")
    assert project.load().counts.updated == 1
    assert project.rows(ALL) == [(1, "A"), (2, "b")]


def test_keys_of_several_columns(project: Project) -> None:
    project.dataset["key"] = ["id", "part"]
    project.write("a.csv", "id,part,v\n1,x,1\n1,y,2\n1,x,3\n")
    project.load()
    assert project.rows(ALL) == [(1, "x", 3), (1, "y", 2)]


def test_a_key_that_is_not_there_is_named(project: Project) -> None:
    project.dataset["key"] = "number"
    project.write("a.csv", "id\n1\n")
    report = project.fail()
    assert "key: there is no column number" in report.reason


def test_state_of_the_cursor_is_kept(project: Project) -> None:
    project.dataset["cursor"] = "at"
    project.write("a.csv", "id,at\n1,2024-01-02\n2,2024-03-01\n")
    project.load()
    with project.open() as workspace:
        state = workspace.destination.state(workspace.dataset("t").spec)
    assert state.cursor == "2024-03-01"
