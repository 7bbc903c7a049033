"""Sources that are not there, cannot be read, or change while they are read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import Project
from steps import Step, watch


def _append(path: Path) -> None:
    with path.open("a") as file:
        file.write("2,two\n")


def _rewrite(path: Path) -> None:
    path.write_text("n,what\n7,new\n")


def _rewrite_and_hide_it(path: Path) -> None:
    """Other bytes with the same size and time; what cp -p or rsync -t may do."""
    times = path.stat()
    path.write_text("n,what\n7,new\n")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _swap(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_text("n,what\n7,new\n")
    other.replace(path)


CHANGES: list[Callable[[Path], None]] = [
    _append,
    _rewrite,
    _rewrite_and_hide_it,
    _swap,
    Path.unlink,
]


def _changed_once(project: Project, change: Callable[[Path], None]):
    """A hook that changes the file just after its rows were copied to the raw zone."""
    changed: list[Path] = []

    def after(step: Step) -> None:
        if step.call == "COPY" and not changed:
            changed.append(project.folder / "a.csv")
            change(changed[0])

    return after


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_not_loaded(change, tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,old\n")
    with watch(after=_changed_once(project, change)):
        report = project.run_faulty()
    assert report.status == "failed"
    assert report.reason == "faulty/a.csv changed while it was read"
    assert report.hint == "Run again once it is written whole."
    assert project.rows() is None
    assert list((project.kept / "raw/faulty/batches").iterdir()) == []


@pytest.mark.parametrize("change", CHANGES[:-1])
def test_the_next_run_loads_the_file_as_it_is_then(change, tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,old\n")
    with watch(after=_changed_once(project, change)):
        project.run_faulty()
    assert project.run_faulty().status == "loaded"
    assert project.rows() == ([(1, "old"), (2, "two")] if change is _append else [(7, "new")])


def test_a_file_that_goes_before_it_is_read_is_named(tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,old\n")

    def before(step: Step) -> None:
        if step.call == "COPY":
            (project.folder / "a.csv").unlink(missing_ok=True)

    with watch(before=before):
        report = project.run_faulty()
    assert report.status == "failed"
    assert "faulty/a.csv" in report.reason
    assert project.rows() is None


@pytest.mark.parametrize("path", ["faulty", "faulty/*.csv", "faulty/a.csv", "elsewhere"])
def test_no_file_at_all_is_an_error_that_says_where_it_looked(path, tmp_path):
    project = Project(tmp_path, path)
    report = project.run_faulty()
    assert report.status == "failed"
    assert report.reason == f"dataset faulty: no file matches {path} in {tmp_path / 'data'}"
    assert "put a file there" in report.hint
    (project.folder / "a.csv").write_text("n,what\n1,one\n")
    if path != "elsewhere":
        assert project.run_faulty().status == "loaded"
        assert project.rows() == [(1, "one")]


def test_a_folder_that_is_emptied_does_not_empty_a_table_that_replaces(tmp_path):
    project = Project(tmp_path, write="replace")
    (project.folder / "a.csv").write_text("n,what\n1,one\n")
    project.run_faulty()
    (project.folder / "a.csv").unlink()
    assert project.run_faulty().status == "failed"
    assert project.rows() == [(1, "one")]


def test_the_folder_of_a_connection_that_is_gone_is_named(tmp_path):
    project = Project(tmp_path)
    shutil.rmtree(tmp_path / "data")
    faulty, sound = project.run().datasets
    assert (faulty.status, sound.status) == ("failed", "failed")
    assert str(tmp_path / "data") in faulty.reason
