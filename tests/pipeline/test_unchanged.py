"""A source that is read as a whole is published only where it changed."""

from __future__ import annotations

import duckdb
import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace


@pytest.fixture
def shop(tmp_path):
    def execute(sql):
        with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
            connection.execute(sql)

    def run(**fields):
        dataset = {"table": "orders", "write": "replace", **fields}
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={"s": {"connection": "duckdb:///shop.duckdb", "datasets": {"orders": dataset}}},
            root=tmp_path,
        )
        with open_workspace(spec) as workspace:
            return run_pipeline(workspace).datasets[0]

    execute("CREATE TABLE orders AS SELECT range AS id, NULL AS note FROM range(1000)")
    return execute, run


def test_the_same_rows_are_not_published_again(shop):
    execute, run = shop
    assert run().version == 1
    execute("CREATE OR REPLACE TABLE orders AS FROM orders ORDER BY id DESC")
    again = run()
    assert (again.status, again.version) == ("unchanged", 1)
    assert again.counts.read == again.counts.unchanged == 1_000


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE orders SET id = -1 WHERE id = 0",
        "DELETE FROM orders WHERE id = 0",
        "INSERT INTO orders VALUES (1, NULL)",
        "UPDATE orders SET note = 7 WHERE id = 500",
        "ALTER TABLE orders ADD COLUMN more INTEGER",
    ],
)
def test_any_change_is_published(shop, change):
    execute, run = shop
    run()
    execute(change)
    assert run().version == 2


def test_a_change_of_the_dataset_is_published(shop):
    _, run = shop
    run()
    assert run(where="id > 10").version == 2
    assert run(where="id > 10").status == "unchanged"
