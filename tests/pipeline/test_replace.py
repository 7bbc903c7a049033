"""Replace: the whole, or what was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Project

ALL = "SELECT * FROM t"


@pytest.fixture(autouse=True)
def replacing(project: Project) -> None:
    project.dataset |= {"write": "replace"}


def test_the_table_is_what_the_files_are(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    gone = project.write("b.csv", "id\n2\n")
    project.load()
    gone.unlink()
    project.write("c.csv", "id\n3\n")
    report = project.load()
    assert project.rows(ALL) == [(1,), (3,)]
    assert report.counts.replaced == 2


def test_nothing_changed_means_nothing_done(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    assert project.load().status == "unchanged"


def test_files_that_stayed_come_from_the_raw_zone(project: Project) -> None:
    big = "id,text\n" + "".join(f"{n},{'x' * 1000}\n" for n in range(140_000))
    project.write("a.csv", big)
    project.write("b.csv", "id,text\n1,y\n")
    project.load()
    project.write("b.csv", "id,text\n2,z\n")
    report = project.load()
    assert (report.units, report.reused, report.counts.read) == (2, 1, 140_001)


def test_a_changed_setting_rebuilds_the_table(project: Project) -> None:
    project.write("a.csv", "id\n1\n2\n")
    project.load()
    project.dataset["where"] = "id = 2"
    assert "its settings changed" in project.load().reason
    assert project.rows(ALL) == [(2,)]


def test_an_empty_folder_does_not_empty_the_table(project: Project) -> None:
    path = project.write("a.csv", "id\n1\n")
    project.load()
    path.unlink()
    report = project.fail()
    assert "no file matches" in report.reason
    assert project.rows(ALL) == [(1,)]


def test_a_bad_file_leaves_the_table_as_it_was(project: Project) -> None:
    project.dataset["bad_rows"] = "fail"
    project.write("a.csv", "id,v\n1,a\n")
    project.load()
    project.write("b.csv", "id,v\n1,a\n2,b,c,d\n")
    report = project.fail()
    assert "b.csv" in report.reason
    assert project.rows(ALL) == [(1, "a")]
