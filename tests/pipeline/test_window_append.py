"""An append of what is above the cursor: rows at the bound and late ones come once."""

from __future__ import annotations

import duckdb
import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace


@pytest.fixture
def log(tmp_path):
    def execute(sql, file="app.duckdb"):
        with duckdb.connect(str(tmp_path / file)) as connection:
            return connection.execute(sql).fetchall()

    def run(cursor="made", **fields):
        dataset = {"table": "log", "cursor": cursor, **fields}
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={"s": {"connection": "duckdb:///app.duckdb", "datasets": {"log": dataset}}},
            root=tmp_path,
        )
        with open_workspace(spec) as workspace:
            report = run_pipeline(workspace).datasets[0]
        assert report.status != "failed", report
        loaded = execute("SELECT said FROM log ORDER BY 1", "warehouse.duckdb")
        return report.counts, [said for (said,) in loaded]

    execute("CREATE TABLE log (said VARCHAR, made TIMESTAMP)")
    return execute, run


def test_rows_at_the_bound_that_come_later_are_loaded_once(log):
    execute, run = log
    execute("INSERT INTO log VALUES ('a', '2026-01-01'), ('b', '2026-01-02')")
    run()
    execute("INSERT INTO log VALUES ('c', '2026-01-02'), ('d', '2026-01-03')")
    counts, loaded = run()
    assert (counts.read, counts.inserted, counts.replaced) == (3, 3, 1)
    assert loaded == ["a", "b", "c", "d"]


def test_equal_rows_at_the_bound_stay_as_many_as_there_are(log):
    execute, run = log
    execute("INSERT INTO log VALUES ('a', '2026-01-01'), ('a', '2026-01-01')")
    run()
    execute("INSERT INTO log VALUES ('a', '2026-01-01'), ('b', '2026-01-02')")
    assert run()[1] == ["a", "a", "a", "b"]


def test_late_rows_within_the_lag_are_loaded_and_earlier_ones_are_not_looked_for(log):
    execute, run = log
    cursor = {"column": "made", "lag": "2 days"}
    execute("INSERT INTO log VALUES ('a', '2026-01-05'), ('b', '2026-01-10')")
    run(cursor)
    execute("INSERT INTO log VALUES ('late', '2026-01-08'), ('too late', '2026-01-07')")
    counts, loaded = run(cursor)
    assert (counts.inserted, counts.replaced) == (2, 1)
    assert loaded == ["a", "b", "late"]


def test_a_row_that_was_deleted_within_the_window_goes_with_it(log):
    execute, run = log
    execute("INSERT INTO log VALUES ('a', '2026-01-01'), ('b', '2026-01-02')")
    run()
    execute("DELETE FROM log WHERE said = 'b'")
    execute("INSERT INTO log VALUES ('c', '2026-01-02'), ('d', '2026-01-03')")
    assert run()[1] == ["a", "c", "d"]


def test_rows_without_a_cursor_come_with_the_first_load_only(log):
    execute, run = log
    execute("INSERT INTO log VALUES ('a', NULL), ('b', '2026-01-02')")
    run()
    execute("INSERT INTO log VALUES ('n', NULL), ('c', '2026-01-03')")
    assert run()[1] == ["a", "b", "c"]


def test_rows_that_were_in_an_adopted_table_stay(log):
    execute, run = log
    row = "'old' AS said, TIMESTAMP '2026-01-03' AS made"
    execute(f"CREATE TABLE log AS SELECT {row}", "warehouse.duckdb")
    execute("INSERT INTO log VALUES ('a', NULL), ('b', '2026-01-02')")
    assert run(adopt=True)[1] == ["a", "b", "old"]
    execute("INSERT INTO log VALUES ('c', '2026-01-03')")
    assert run(adopt=True)[1] == ["a", "b", "c", "old"]
