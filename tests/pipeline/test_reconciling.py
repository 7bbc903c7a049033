"""Keys that a source does not have any more, where only what is new is read of it."""

from __future__ import annotations

import logging
from threading import Lock

import duckdb
import pytest

from prefect_etl.core.cursor import Window
from prefect_etl.pipeline.backfill import run_window
from prefect_etl.pipeline.progress import Silent
from prefect_etl.pipeline.run import plain_steps, run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace

FIELDS = {"table": "orders", "write": "merge", "key": "id", "cursor": "at", "missing": "delete"}


@pytest.fixture
def execute(tmp_path):
    def execute(sql, file="shop.duckdb"):
        with duckdb.connect(str(tmp_path / file)) as connection:
            return connection.execute(sql).fetchall()

    execute("CREATE TABLE orders AS SELECT range AS id, range AS at FROM range(1, 5)")
    return execute


@pytest.fixture
def run(tmp_path, execute):
    """Runs the pipeline; gives its report and the keys of the table."""

    def run(shown="id", **fields):
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "s": {
                    "connection": "duckdb:///shop.duckdb",
                    "datasets": {"orders": {**FIELDS, **fields}},
                }
            },
            root=tmp_path,
        )
        with open_workspace(spec) as workspace:
            report = run_pipeline(workspace).datasets[0]
        loaded = execute(f"SELECT {shown} FROM orders ORDER BY 1", "warehouse.duckdb")
        return report, [key for (key,) in loaded]

    return run


def test_they_are_deleted_beside_what_is_new(execute, run):
    run()
    execute("DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (9, 9)")
    report, loaded = run()
    assert loaded == [1, 3, 4, 9]
    assert (report.counts.inserted, report.counts.missing) == (1, 1)


def test_they_are_deleted_where_nothing_is_new(execute, run):
    run()
    execute("DELETE FROM orders WHERE id = 2")
    report, loaded = run()
    assert loaded == [1, 3, 4]
    assert (report.counts.read, report.counts.missing) == (1, 1)


def test_the_keys_are_no_rows_of_the_dataset(execute, run):
    run()
    execute("INSERT INTO orders VALUES (9, 9)")
    report, _ = run()
    assert report.counts.read == 2  # the new one, and the one at the bound


def test_a_run_publishes_nothing_where_nothing_came_or_went(execute, run):
    run()
    run()  # compares all keys for the first time
    report, loaded = run()
    assert (report.status, report.counts.read) == ("unchanged", 1)
    assert loaded == [1, 2, 3, 4]


def test_where_the_highest_rows_are_gone_too_all_are_read_again(execute, run, caplog):
    run()
    execute("DELETE FROM orders WHERE id > 2; INSERT INTO orders VALUES (7, 1)")
    with caplog.at_level(logging.WARNING):
        report, loaded = run()
    assert loaded == [1, 2, 7]
    assert report.counts.missing == 2
    assert "the highest value was 4 and is 2 now" in caplog.text


def test_rows_that_come_after_all_were_gone_are_loaded(execute, run):
    run()
    execute("DELETE FROM orders")
    assert run()[1] == []
    execute("INSERT INTO orders VALUES (1, 1)")
    assert run()[1] == [1]


def test_a_key_whose_row_is_in_quarantine_is_not_missing(execute, run):
    fields = {"contract": {"columns": {"at": {"le": 10}}}}
    run(**fields)
    execute('UPDATE orders SET "at" = 99 WHERE id = 3; DELETE FROM orders WHERE id = 2')
    report, loaded = run(**fields)
    assert (report.counts.quarantined, report.counts.missing) == (1, 1)
    assert loaded == [1, 3, 4]


def test_keys_are_known_by_the_names_and_types_of_the_table(execute, run):
    columns = {"rename": {"id": "No"}, "cast": {"No": "VARCHAR"}}
    fields = {"columns": columns, "key": "No", "contract": {"columns": {"at": {"ge": 0}}}}
    run('"No"', **fields)
    execute("DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (9, 9)")
    assert run('"No"', **fields)[1] == ["1", "3", "4", "9"]


def test_versions_of_them_are_closed(execute, run):
    run(write="scd2")
    execute("DELETE FROM orders WHERE id = 2")
    run(write="scd2")
    found = execute("SELECT id FROM orders WHERE valid_to IS NOT NULL", "warehouse.duckdb")
    assert found == [(2,)]


def test_a_lost_warehouse_has_them_deleted_again(execute, run, tmp_path):
    run()
    execute("DELETE FROM orders WHERE id = 2; INSERT INTO orders VALUES (9, 9)")
    run()
    (tmp_path / "warehouse.duckdb").unlink()
    report, loaded = run()
    assert report.status == "replayed"
    assert loaded == [1, 3, 4, 9]


def test_a_window_of_a_backfill_deletes_nothing_else(execute, run, tmp_path):
    run()
    spec = pipeline_from(
        name="p",
        destination="duckdb:///warehouse.duckdb",
        sources={"s": {"connection": "duckdb:///shop.duckdb", "datasets": {"orders": FIELDS}}},
        root=tmp_path,
    )
    window = Window("1", "3", open=True)
    with open_workspace(spec) as workspace:
        report = run_window(workspace, "orders", window, plain_steps(workspace, Silent()), Lock())
    assert (report.counts.read, report.counts.missing) == (2, 0)


def test_a_source_that_was_mended_is_read_again_after_its_contract_was_broken(execute, run):
    fields = {
        "missing": "keep",
        "contract": {"columns": {"at": {"le": 10}}, "on_violation": "fail"},
    }
    run(**fields)
    execute("INSERT INTO orders VALUES (8, 99)")
    assert run(**fields)[0].status == "failed"
    execute('UPDATE orders SET "at" = 9 WHERE id = 8')
    assert run(**fields)[1] == [1, 2, 3, 4, 8]
