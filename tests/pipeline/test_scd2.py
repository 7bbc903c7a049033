"""``write: scd2``, from a table that changes to a table of all its versions."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace


class Shop:
    """A table of customers, and a warehouse that keeps their history."""

    def __init__(self, root):
        self.root = root
        self.dataset = {"table": "customers", "write": "scd2", "key": "id"}
        self.execute("CREATE TABLE customers (id INTEGER, city VARCHAR, changed TIMESTAMP)")

    def execute(self, sql, file="shop.duckdb"):
        with duckdb.connect(str(self.root / file)) as connection:
            return connection.execute(sql).fetchall()

    def run(self):
        spec = pipeline_from(
            name="p",
            destination="duckdb:///warehouse.duckdb",
            sources={
                "s": {
                    "connection": "duckdb:///shop.duckdb",
                    "datasets": {"customers": self.dataset},
                }
            },
            root=self.root,
        )
        with open_workspace(spec) as workspace:
            report = run_pipeline(workspace).datasets[0]
        assert report.status != "failed", report
        return report.counts

    def history(self):
        """Id, city, and the days on which each version began and ended."""
        return self.execute(
            "SELECT id, city, day(valid_from), day(valid_to) FROM customers ORDER BY 1, valid_from",
            "warehouse.duckdb",
        )


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)


def test_a_table_with_a_cursor_becomes_the_history_of_its_rows(shop):
    shop.dataset |= {"cursor": "changed"}
    shop.execute("INSERT INTO customers VALUES (1, 'Oslo', '2026-01-01'), (2, 'Rom', '2026-01-01')")
    assert shop.run().inserted == 2
    shop.execute("UPDATE customers SET city = 'Bern', changed = '2026-01-05' WHERE id = 1")
    assert shop.run().updated == 1
    assert shop.history() == [
        (1, "Oslo", 1, 5),
        (1, "Bern", 5, None),
        (2, "Rom", 1, None),
    ]


def test_a_late_row_within_the_lag_is_read_and_a_newer_version_stays(shop):
    shop.dataset |= {"cursor": {"column": "changed", "lag": "3 days"}}
    shop.execute("INSERT INTO customers VALUES (1, 'Oslo', '2026-01-05')")
    shop.run()
    shop.execute("INSERT INTO customers VALUES (1, 'Rom', '2026-01-04'), (2, 'Rom', '2026-01-03')")
    counts = shop.run()
    assert (counts.inserted, counts.superseded, counts.unchanged) == (1, 1, 1)
    assert shop.history() == [(1, "Oslo", 5, None), (2, "Rom", 3, None)]


def test_a_table_without_a_cursor_is_compared_as_a_whole(shop):
    before = datetime.now(UTC)
    shop.execute("INSERT INTO customers VALUES (1, 'Oslo', NULL), (2, 'Rom', NULL)")
    shop.run()
    shop.execute("UPDATE customers SET city = 'Bern' WHERE id = 1")
    shop.execute("DELETE FROM customers WHERE id = 2")
    counts = shop.run()
    assert (counts.read, counts.updated, counts.missing) == (1, 1, 1)
    found = shop.execute(
        "SELECT id, city, valid_from::VARCHAR, valid_to::VARCHAR FROM customers ORDER BY 1, 3",
        "warehouse.duckdb",
    )
    assert [(key, city, to is None) for key, city, _, to in found] == [
        (1, "Oslo", False),
        (1, "Bern", True),
        (2, "Rom", False),
    ]
    (_, _, begin, end), (_, _, begin_again, _), (_, _, _, gone) = found
    assert end == begin_again == gone
    assert before < datetime.fromisoformat(begin) < datetime.fromisoformat(end)


def test_rows_that_stay_the_same_make_no_versions(shop):
    shop.execute("INSERT INTO customers SELECT range, 'Oslo', NULL FROM range(100)")
    shop.run()
    shop.execute("INSERT INTO customers VALUES (100, 'Rom', NULL)")
    counts = shop.run()
    assert (counts.inserted, counts.unchanged) == (1, 100)
    assert len(shop.history()) == 101


def test_a_refresh_begins_the_history_anew(shop):
    shop.dataset |= {"cursor": "changed"}
    shop.execute("INSERT INTO customers VALUES (1, 'Oslo', '2026-01-01')")
    shop.run()
    shop.execute("UPDATE customers SET city = 'Bern', changed = '2026-01-05'")
    shop.run()
    spec_before = shop.history()
    shop.execute("UPDATE _prefect_etl.tables SET refresh = TRUE", "warehouse.duckdb")
    shop.run()
    assert len(spec_before) == 2
    assert shop.history() == [(1, "Bern", 5, None)]
