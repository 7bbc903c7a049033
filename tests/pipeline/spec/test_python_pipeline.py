"""Functions and databases as sources of a whole pipeline, run after run."""

from __future__ import annotations

import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace


@pytest.fixture
def run(tmp_path):
    """Runs one dataset as a new process would; gives its report and its rows then."""

    def run(connection, **fields):
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={"s": {"connection": connection, "datasets": {"d": fields}}},
            root=tmp_path,
        )
        with open_workspace(spec) as workspace:
            (report,) = run_pipeline(workspace).datasets
            if report.status == "failed":
                return report, []
            with workspace.session.attached(
                tmp_path / "warehouse.duckdb", read_only=True
            ) as cursor:
                return report, sorted(cursor.execute("SELECT id, n FROM d").fetchall())

    return run


def test_each_call_of_a_function_adds_its_rows(run):
    calls = iter([[{"id": 1, "n": 1}], [{"id": 2, "n": 2}]])
    run("python://", function=lambda: next(calls))
    report, rows = run("python://", function=lambda: next(calls))
    assert rows == [(1, 1), (2, 2)]
    assert report.counts.inserted == 1


def test_a_function_with_a_cursor_gives_only_what_is_new(run):
    told = []

    def f(cursor):
        told.append(cursor)
        since = int(cursor or 0)
        return [{"id": since + 1, "n": since + 1}]

    fields = {"function": f, "write": "merge", "key": "id", "cursor": "n"}
    for _ in range(3):
        _, rows = run("python://", **fields)
    assert told == [None, "1", "2"]
    assert rows == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("write", ["append", "merge"])
def test_a_call_that_gives_nothing_new_changes_nothing(run, write):
    calls = iter([[{"uid": 1, "n": 1, "x": "a"}], []])
    fields = {
        "function": lambda: next(calls),
        "write": write,
        "key": "id",
        "columns": {"rename": {"uid": "id"}, "drop": ["x"]},
        "where": "x <> 'b'",
        "contract": {"columns": {"n": {"ge": 0, "type": "int64"}}},
    }
    run("python://", **fields)
    report, rows = run("python://", **fields)
    assert (report.status, report.counts.read) == ("loaded", 0)
    assert rows == [(1, 1)]


def test_a_function_that_fails_leaves_the_table_and_says_where(run):
    run("python://", function=lambda: [{"id": 1, "n": 1}])
    report, _ = run("python://", function=lambda: 1 / 0)
    assert report.status == "failed"
    assert "ZeroDivisionError" in report.reason
    _, rows = run("python://", function=lambda: [{"id": 2, "n": 2}])
    assert rows == [(1, 1), (2, 2)]


def test_a_table_that_is_read_whole_is_there_once_however_often_it_is_loaded(run, tmp_path):
    import duckdb

    path = tmp_path / "shop.duckdb"
    for rows in ("(1, 1), (2, 1)", "(1, 2), (3, 1)"):
        with duckdb.connect(path) as connection:
            connection.execute(f"CREATE OR REPLACE TABLE t AS FROM (VALUES {rows}) v(id, n)")
        _, found = run("duckdb:///shop.duckdb", table="t")
    assert found == [(1, 2), (3, 1)]


def test_a_window_takes_what_was_added_to_a_database(run, tmp_path):
    import duckdb

    path = tmp_path / "shop.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE t AS FROM (VALUES (1, 1), (2, NULL)) v(id, n)")
    fields = {"table": "t", "cursor": "n"}
    run("duckdb:///shop.duckdb", **fields)
    report, _ = run("duckdb:///shop.duckdb", **fields)
    assert report.status == "unchanged"
    with duckdb.connect(path) as connection:
        connection.execute("INSERT INTO t VALUES (3, 2)")
    report, rows = run("duckdb:///shop.duckdb", **fields)
    assert (report.counts.read, report.counts.replaced) == (2, 1)
    assert sorted(rows, key=str) == [(1, 1), (2, None), (3, 2)]


def test_the_source_may_be_the_destination_itself(run, tmp_path):
    import duckdb

    with duckdb.connect(tmp_path / "warehouse.duckdb") as connection:
        connection.execute("CREATE TABLE t AS FROM (VALUES (1, 1)) v(id, n)")
    for fields in ({"table": "t"}, {"query": "SELECT * FROM t"}):
        report, rows = run("duckdb:///warehouse.duckdb", **fields)
        assert (report.status, rows[-1]) == ("loaded", (1, 1))


def test_a_call_whose_load_failed_is_not_made_again(run):
    calls = []

    def f():
        calls.append(1)
        return [{"id": 1, "n": len(calls)}]

    strict = {"columns": {"n": {"ge": 5}}, "on_violation": "fail"}
    report, _ = run("python://", function=f, contract=strict)
    assert report.status == "failed"
    report, rows = run("python://", function=f)
    assert (calls, report.reused, rows) == ([1], 1, [(1, 1)])
