"""The raw zone is the resume point: nothing is read twice, and a lost warehouse comes back."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from prefect_etl.pipeline import load as load_module
from prefect_etl.pipeline import run as run_module

if TYPE_CHECKING:
    from conftest import Project


class Stopped(BaseException):
    """As if the process had been killed."""


@pytest.fixture
def stop_before_load(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    def stop(*_: Any) -> None:
        raise Stopped

    monkeypatch.setattr(run_module, "load_dataset", stop)
    return monkeypatch


def test_what_a_dead_run_extracted_is_not_read_again(
    project: Project, stop_before_load: pytest.MonkeyPatch
) -> None:
    project.write("a.csv", "id\n1\n")
    with pytest.raises(Stopped):
        project.run()
    stop_before_load.undo()
    assert project.plan().pending == 1
    report = project.load()
    assert (report.reused, report.counts.inserted) == (1, 1)


def test_what_a_dead_run_extracted_is_swept_where_the_file_changed(
    project: Project, stop_before_load: pytest.MonkeyPatch
) -> None:
    project.write("a.csv", "id\n1\n")
    with pytest.raises(Stopped):
        project.run()
    stop_before_load.undo()
    project.write("a.csv", "id\n2\n")
    assert project.load().reused == 0
    assert project.rows() == [(2,)]
    assert len(list((project.root / ".prefect_etl").rglob("data.parquet"))) == 1


def test_a_lost_warehouse_comes_back_from_the_raw_zone(project: Project) -> None:
    path = project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\n2\n")
    project.load()
    project.warehouse.unlink()
    path.unlink()
    assert "loads 1 to 2 come again from the raw zone" in project.plan().reasons[0]
    report = project.load()
    assert (report.status, report.version) == ("replayed", 2)
    assert project.rows() == [(1,), (2,)]
    assert project.load().status == "unchanged"


def test_a_restored_backup_catches_up(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    backup = shutil.copy(project.warehouse, project.root / "backup")
    project.write("b.csv", "id\n2\n")
    project.load()
    shutil.copy(backup, project.warehouse)
    project.write("c.csv", "id\n3\n")
    assert project.load().version == 3
    assert project.rows() == [(1,), (2,), (3,)]


def test_a_gap_stops_the_run_and_a_full_refresh_mends_it(project: Project) -> None:
    project.options["raw_retention_days"] = 0
    project.write("a.csv", "id\n1\n")
    project.load()
    project.write("b.csv", "id\n2\n")
    project.load()
    project.warehouse.unlink()
    report = project.fail()
    assert "do not follow on it" in report.reason
    assert "--full-refresh" in report.hint
    project.load(refresh=True)
    assert project.rows() == [(1,), (2,)]


def test_a_refresh_is_replayed_from_itself_on(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    project.load(refresh=True)
    project.write("b.csv", "id\n2\n")
    project.load()
    project.warehouse.unlink()
    assert project.load().version == 3
    assert project.rows() == [(1,), (2,)]


def test_retention_keeps_the_last_load_only(project: Project) -> None:
    project.options["raw_retention_days"] = 0
    for number in range(3):
        project.write(f"{number}.csv", f"id\n{number}\n")
        project.load()
    assert len(list((project.root / ".prefect_etl").rglob("data.parquet"))) == 1


def test_a_reset_loads_anew_with_the_next_run(project: Project) -> None:
    project.write("a.csv", "id\n1\n")
    project.load()
    with project.open() as workspace:
        workspace.destination.reset(workspace.dataset("t").spec)
    assert project.rows() == [(1,)]
    assert "full refresh" in project.load().reason
    assert project.rows() == [(1,)]


def test_a_race_is_lost_without_harm(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("a.csv", "id\n1\n")
    publish = load_module.load_dataset
    raced = []

    def slow(*arguments: Any) -> Any:
        if not raced:
            raced.append(True)
            project.load()
        return publish(*arguments)

    monkeypatch.setattr(run_module, "load_dataset", slow)
    assert project.load().status == "unchanged"
    assert project.rows() == [(1,)]
