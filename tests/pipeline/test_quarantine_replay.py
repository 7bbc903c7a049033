"""Replay: rows from quarantine are loaded exactly once, when they satisfy the contract."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from prefect_etl.core.report import DatasetReport
from prefect_etl.pipeline.quarantine import Quarantine, QuarantineEntry
from prefect_etl.pipeline.quarantine_table import table_of
from prefect_etl.pipeline.replay import entries_to_replay, replay_pipeline
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import Options, open_workspace

if TYPE_CHECKING:
    from conftest import Project

STRICT = {"columns": {"v": {"ge": 0}}}
LOOSE = {"columns": {"v": {"ge": -5}}}


def entries(project: Project) -> list[QuarantineEntry]:
    with project.open() as workspace:
        return Quarantine(workspace.quarantine).entries("t")


def replay(project: Project, name: str | None = None) -> list[DatasetReport]:
    with project.open() as workspace:
        chosen = entries_to_replay(workspace, name)
        report = replay_pipeline(workspace, [(e.dataset, e.name) for e in chosen])
    assert report.status == "completed", [f"{d.reason} {d.hint}" for d in report.datasets]
    assert all(d.counts.balanced for d in report.datasets)
    return list(report.datasets)


def fixed(project: Project, contract: Any = None) -> None:
    project.dataset["contract"] = contract or LOOSE


def test_after_a_fix_of_the_contract_rows_that_pass_are_loaded_once(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n3,-9\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert (report.status, report.counts.inserted, report.counts.quarantined) == ("loaded", 1, 1)
    assert project.rows() == [(1, 5), (2, -1)]
    old, new = entries(project)
    assert old.closed == "replayed in load 2"
    assert (new.rows, new.replays, new.sources[0].position) == (1, old.name, "a.csv")


def test_a_second_replay_has_nothing_to_do(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n3,-9\n")
    project.load()
    fixed(project)
    replay(project)
    (report,) = replay(project)
    assert (report.status, report.version) == ("unchanged", 2)
    assert project.rows() == [(1, 5), (2, -1)]
    assert project.load().status == "unchanged"


def test_what_fails_again_keeps_its_place_and_has_its_new_reason(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n3,-9\n")
    project.load()
    fixed(project)
    replay(project)
    rows = duckdb.execute(
        f"SELECT id, v, _source, _row, _reasons FROM '{entries(project)[1].path}'"
    ).fetchall()
    assert rows == [(3, -9, "a.csv", 3, ["v is less than -5"])]


def test_a_replay_that_nothing_passes_publishes_nothing(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.load()
    (report,) = replay(project)
    assert (report.status, report.version) == ("unchanged", 1)
    assert "same rules" in report.reason
    assert [entry.closed for entry in entries(project)] == [""]


def test_replayed_rows_of_a_file_go_when_its_next_version_comes(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.write("b.csv", "id,v\n8,-1\n")
    project.load()
    fixed(project)
    replay(project)
    project.write("a.csv", "id,v\n1,6\n2,-2\n")
    project.load()
    assert project.rows() == [(1, 6), (2, -2), (8, -1)]


def test_rows_of_a_file_whose_next_version_came_are_not_replayed(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.write("b.csv", "id,v\n8,-1\n")
    project.load()
    project.write("a.csv", "id,v\n1,6\n2,7\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert "1 are stale (load 2 has a later a.csv)" in report.reason
    assert project.rows() == [(1, 6), (2, 7), (8, -1)]


def test_rows_of_several_files_are_loaded_with_the_numbers_of_their_files(project: Project) -> None:
    project.dataset["contract"] = STRICT
    for name in "abc":
        project.write(f"{name}.csv", f"id,v\n{name},1\n{name},-1\n{name},-2\n")
    project.load()
    fixed(project)
    replay(project)
    per_unit = "SELECT count(*), min(id), max(id) FROM t GROUP BY _etl_unit_id"
    assert project.rows(per_unit) == [(3, "a", "a"), (3, "b", "b"), (3, "c", "c")]


def test_with_a_cursor_a_replayed_row_is_a_late_row(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": "id", "cursor": "at", "contract": STRICT}
    project.write("a.csv", "id,v,at\n1,-1,1\n2,-2,1\n3,-3,9\n4,0,9\n")
    project.load()
    project.write("b.csv", "id,v,at\n1,1,5\n3,3,5\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert (report.counts.superseded, report.counts.inserted, report.counts.updated) == (1, 1, 1)
    assert project.rows("SELECT * FROM t") == [(1, 1, 5), (2, -2, 1), (3, -3, 9), (4, 0, 9)]


def test_a_replayed_row_loses_against_one_of_its_cursor_that_came_later(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": "id", "cursor": "at", "contract": STRICT}
    project.write("a.csv", "id,v,at\n1,-1,5\n2,-2,5\n")
    project.load()
    project.write("b.csv", "id,v,at\n1,1,5\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert (report.counts.superseded, report.counts.inserted) == (1, 1)
    assert project.rows("SELECT * FROM t") == [(1, 1, 5), (2, -2, 5)]


def test_a_replayed_row_wins_over_one_of_its_cursor_that_was_there_before(
    project: Project,
) -> None:
    project.dataset |= {"write": "merge", "key": "id", "cursor": "at", "contract": STRICT}
    project.write("a.csv", "id,v,at\n1,1,5\n")
    project.load()
    project.write("b.csv", "id,v,at\n1,-1,5\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert report.counts.updated == 1
    assert project.rows("SELECT * FROM t") == [(1, -1, 5)]


def test_without_a_cursor_a_row_loses_against_what_came_later(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": "id", "contract": STRICT}
    project.write("a.csv", "id,v\n1,-1\n2,-2\n")
    project.load()
    project.write("b.csv", "id,v\n1,1\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert (report.counts.superseded, report.counts.inserted) == (1, 1)
    assert project.rows("SELECT * FROM t") == [(1, 1), (2, -2)]


def test_without_a_cursor_the_last_load_is_judged_again_in_its_order(project: Project) -> None:
    project.dataset |= {"write": "merge", "key": "id", "contract": STRICT}
    project.write("a.csv", "id,v\n1,4\n2,4\n")
    project.load()
    project.write("b.csv", "id,v\n1,-1\n2,-2\n2,3\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert project.rows("SELECT * FROM t") == [(1, -1), (2, 3)]
    assert report.counts.quarantined == 0
    assert entries(project)[0].closed.startswith("replayed")


def test_a_table_that_is_replaced_is_judged_again_as_a_whole(project: Project) -> None:
    project.dataset |= {"write": "replace", "contract": STRICT}
    project.write("a.csv", "id,v\n1,5\n2,-1\n3,-9\n")
    project.load()
    fixed(project)
    (report,) = replay(project)
    assert (report.counts.inserted, report.counts.quarantined) == (2, 1)
    assert project.rows("SELECT * FROM t") == [(1, 5), (2, -1)]
    assert [bool(entry.closed) for entry in entries(project)] == [True, False]
    assert replay(project)[0].status == "unchanged"
    assert project.load().status == "unchanged"


def test_versions_get_a_late_row(project: Project) -> None:
    project.dataset |= {"write": "scd2", "key": "id", "cursor": "at", "contract": STRICT}
    project.write("a.csv", "id,v,at\n1,1,2024-01-01\n2,-1,2024-01-01\n")
    project.load()
    fixed(project)
    replay(project)
    assert project.rows("SELECT id, v FROM t WHERE valid_to IS NULL") == [(1, 1), (2, -1)]


def test_columns_of_exact_types_and_of_nothing_but_nulls_come_back(project: Project) -> None:
    big = 2**100
    project.dataset["path"] = "*.jsonl"
    project.dataset["types"] = {"n": "HUGEINT"}
    project.dataset["contract"] = STRICT
    project.write("a.jsonl", f'{{"n": {big}, "v": -1, "x": null}}\n')
    project.load()
    project.write("b.jsonl", '{"n": 1, "v": 1, "x": null}\n')
    fixed(project)
    replay(project)
    assert project.rows("SELECT n, v, x FROM t") == [(big, -1, None)]


def test_a_share_of_bad_rows_does_not_refuse_a_replay(project: Project) -> None:
    project.dataset["contract"] = STRICT | {"max_rejected": "60%"}
    project.write("a.csv", "id,v\n1,5\n2,-1\n3,-9\n4,-9\n5,5\n")
    project.load()
    fixed(project, LOOSE | {"max_rejected": "60%"})
    (report,) = replay(project)
    assert (report.counts.inserted, report.counts.quarantined) == (1, 2)


def test_rows_of_a_load_that_failed_are_not_replayed(project: Project) -> None:
    project.dataset["contract"] = STRICT | {"max_rejected": "10%"}
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.fail()
    fixed(project)
    (report,) = replay(project)
    assert "not published" in report.reason
    assert project.load().counts.inserted == 2
    assert "load 1 was" in entries(project)[0].closed


def test_a_commit_that_was_not_noted_is_found_in_the_ledger(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.load()
    fixed(project)
    (before,) = entries(project)
    replay(project)
    with project.open() as workspace:  # as if killed before the note
        Quarantine(workspace.quarantine).note(before, "r")
    (report,) = replay(project)
    assert report.status == "unchanged"
    assert project.rows() == [(1, 5), (2, -1)]


def test_a_lost_warehouse_gets_replayed_rows_back(project: Project) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n")
    project.load()
    fixed(project)
    backup = project.warehouse.read_bytes()
    replay(project)
    project.warehouse.write_bytes(backup)
    assert project.load().status == "replayed"
    assert project.rows() == [(1, 5), (2, -1)]
    assert replay(project) == []


DESTINATIONS = ("duckdb:///w.duckdb", "sqlite:///w.sqlite", "parquet:///w", "memory://replay")


def piped(root: Path, destination: str, contract: Any, **dataset: Any) -> Any:
    spec = pipeline_from(
        name="p",
        destination=destination,
        sources={
            "files": {
                "connection": "file://./data",
                "datasets": {"t": {"path": "*.csv", "contract": contract, **dataset}},
            }
        },
        root=root,
    )
    return open_workspace(spec, Options(lock_timeout=5))


@pytest.mark.parametrize("destination", DESTINATIONS)
def test_every_destination_replays(tmp_path: Path, destination: str) -> None:
    replays(tmp_path, destination.replace("memory://replay", f"memory://{tmp_path}"))


def test_postgres_replays(tmp_path: Path, pg_uri: str) -> None:
    replays(tmp_path, pg_uri)


def replays(root: Path, destination: str) -> None:
    data = root / "data"
    data.mkdir()
    keyed = {"write": "merge", "key": "id"}
    for how in ({}, keyed):
        into = {"into": f"t{len(how)}", "quarantine_into": f"q{len(how)}", **how}
        (data / "a.csv").write_text("id,v\n1,5\n2,-1\n3,-9\n")
        with piped(root, destination, STRICT, **into) as workspace:
            assert run_pipeline(workspace, refresh=bool(how)).status == "completed"
        (data / "b.csv").write_text("id,v\n2,8\n")
        with piped(root, destination, LOOSE, **into) as workspace:
            assert run_pipeline(workspace).status == "completed"
            (entry,) = entries_to_replay(workspace, None)
            (done,) = replay_pipeline(workspace, [("t", entry.name)]).datasets
            assert (done.status, done.counts.quarantined) == ("loaded", 1), done
            assert (done.counts.inserted, done.counts.superseded) == ((0, 1) if how else (1, 0))
            table = workspace.destination.state(table_of(workspace.dataset("t").spec))
            assert (len(table.units), table.version) == (2, 2)
        (data / "a.csv").write_text("id,v\n7,7\n")
        with piped(root, destination, LOOSE, **into) as workspace:
            (done,) = run_pipeline(workspace).datasets
            assert done.counts.replaced == (0 if how else 2)
            assert entries_to_replay(workspace, None) == []
        (data / "b.csv").unlink()
        shutil.rmtree(root / ".prefect_etl")


def test_windows_of_an_append_that_were_read_again_are_not_replayed(tmp_path: Path) -> None:
    app = tmp_path / "app.duckdb"

    def execute(sql: str, file: Path = app) -> list[Any]:
        with duckdb.connect(str(file)) as connection:
            return connection.execute(sql).fetchall()

    def opened(least: int) -> Any:
        contract = {"columns": {"v": {"ge": least}}}
        dataset = {"table": "log", "cursor": "made", "contract": contract}
        source = {"connection": "duckdb:///app.duckdb", "datasets": {"log": dataset}}
        spec = pipeline_from(
            name="p",
            destination="duckdb:///w.duckdb",
            sources={"s": source},
            root=tmp_path,
        )
        return open_workspace(spec)

    execute("CREATE TABLE log AS SELECT * FROM (VALUES (1, -1), (2, -2), (2, 5)) t(made, v)")
    with opened(0) as workspace:
        assert run_pipeline(workspace).status == "completed"
    execute("INSERT INTO log VALUES (3, 6)")
    with opened(0) as workspace:
        assert run_pipeline(workspace).status == "completed"
        names = [("log", entry.name) for entry in entries_to_replay(workspace, None)]
    with opened(-5) as workspace:
        report = replay_pipeline(workspace, names)
        assert [d.status for d in report.datasets] == ["loaded", "loaded"], report
        assert replay_pipeline(workspace, names).idle
    loaded = execute("SELECT made, v FROM log ORDER BY ALL", tmp_path / "w.duckdb")
    assert loaded == [(1, -1), (2, -2), (2, 5), (3, 6)]


def test_rows_of_a_window_that_was_merged_wait_while_later_windows_come(tmp_path: Path) -> None:
    def execute(sql: str, file: str = "app.duckdb") -> list[Any]:
        with duckdb.connect(str(tmp_path / file)) as connection:
            return connection.execute(sql).fetchall()

    def opened(least: int) -> Any:
        contract = {"columns": {"v": {"ge": least}}}
        dataset = {"table": "log", "cursor": "made", "write": "merge", "key": "made"}
        source = {
            "connection": "duckdb:///app.duckdb",
            "datasets": {"log": {**dataset, "contract": contract}},
        }
        spec = pipeline_from(
            name="p", destination="duckdb:///w.duckdb", sources={"s": source}, root=tmp_path
        )
        return open_workspace(spec)

    execute("CREATE TABLE log AS SELECT * FROM (VALUES (1, -1), (2, 5)) t(made, v)")
    with opened(0) as workspace:
        assert run_pipeline(workspace).status == "completed"
    execute("INSERT INTO log VALUES (3, 6)")
    with opened(0) as workspace:
        assert run_pipeline(workspace).status == "completed"
    with opened(-5) as workspace:
        names = [("log", entry.name) for entry in entries_to_replay(workspace, None)]
        assert replay_pipeline(workspace, names).status == "completed"
    assert execute("SELECT made, v FROM log ORDER BY 1", "w.duckdb") == [(1, -1), (2, 5), (3, 6)]


def test_records_that_could_not_be_read_stay_open_when_others_are_replayed(
    project: Project,
) -> None:
    project.dataset["contract"] = STRICT
    project.write("a.csv", "id,v\n1,5\n2,-1\n" + "6,1\n" * 25_000 + "3,4,5\n")
    assert project.load().counts.quarantined == 2
    fixed(project)
    (report,) = replay(project)
    assert report.counts.inserted == 1
    assert "1 could not be read as rows" in report.reason
    old, new = entries(project)
    assert old.closed
    assert not new.closed
    unread = f"SELECT _source, _row, _text FROM '{new.path}'"
    assert duckdb.execute(unread).fetchall() == [("a.csv", None, "3,4,5")]
    (report,) = replay(project)
    assert (report.status, report.version) == ("unchanged", 2)
