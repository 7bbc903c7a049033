"""Keys that a source does not have any more, where it is read as a whole."""

from __future__ import annotations

import duckdb
import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace


@pytest.fixture
def shop(tmp_path):
    def execute(sql, file="shop.duckdb"):
        with duckdb.connect(str(tmp_path / file)) as connection:
            return connection.execute(sql).fetchall()

    def run(**fields):
        dataset = {"table": "orders", "write": "merge", "key": "id", **fields}
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={"s": {"connection": "duckdb:///shop.duckdb", "datasets": {"orders": dataset}}},
            root=tmp_path,
        )
        with open_workspace(spec) as workspace:
            report = run_pipeline(workspace).datasets[0]
        loaded = execute("SELECT id FROM orders ORDER BY 1", "warehouse.duckdb")
        return report, [key for (key,) in loaded]

    execute("CREATE TABLE orders AS SELECT range AS id, 10 AS amount FROM range(1, 5)")
    return execute, run


def test_they_stay_in_the_table_unless_asked(shop):
    execute, run = shop
    run()
    execute("DELETE FROM orders WHERE id > 2")
    assert run()[1] == [1, 2, 3, 4]


def test_they_are_deleted_if_asked(shop):
    execute, run = shop
    run(missing="delete")
    execute("DELETE FROM orders WHERE id > 2")
    report, loaded = run(missing="delete")
    assert (report.counts.read, report.counts.unchanged, report.counts.missing) == (2, 2, 2)
    assert loaded == [1, 2]


def test_a_key_whose_row_is_in_quarantine_is_not_missing(shop):
    execute, run = shop
    fields = {"missing": "delete", "contract": {"columns": {"amount": {"ge": 0}}}}
    run(**fields)
    execute("UPDATE orders SET amount = -1 WHERE id = 3")
    execute("DELETE FROM orders WHERE id = 4")
    report, loaded = run(**fields)
    assert (report.counts.quarantined, report.counts.missing) == (1, 0)
    assert loaded == [1, 2, 3, 4]
    execute("UPDATE orders SET amount = 1 WHERE id = 3")
    report, loaded = run(**fields)
    assert (report.counts.updated, report.counts.missing) == (1, 1)
    assert loaded == [1, 2, 3]


def test_rows_outside_of_where_are_no_part_of_the_dataset(shop):
    execute, run = shop
    run(missing="delete", where="amount > 5")
    execute("UPDATE orders SET amount = 1 WHERE id = 3")
    report, loaded = run(missing="delete", where="amount > 5")
    assert (report.counts.filtered, report.counts.missing) == (1, 1)
    assert loaded == [1, 2, 4]
