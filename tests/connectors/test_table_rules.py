"""Rules on the whole table, in every destination: asked within the load's transaction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from prefect_etl.core.report import DatasetReport
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import pipeline_from
from prefect_etl.pipeline.workspace import open_workspace

URIS = ("memory://rules", "duckdb:///w.duckdb", "sqlite:///w.db", "parquet:///./tables", "postgres")


@pytest.fixture(params=URIS, ids=lambda uri: uri.partition(":")[0])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        uri: str = request.getfixturevalue("pg_uri")
        return uri
    if request.param.startswith("parquet"):
        return f"parquet://{tmp_path}/tables"
    if request.param.startswith("memory"):
        return f"memory://{tmp_path.name}"
    return str(request.param)


class Shop:
    def __init__(self, root: Path, destination: str) -> None:
        self.root, self.destination = root, destination
        (root / "data").mkdir()
        self.write("shops", "code,total\nA,30\nB,12\n")

    def write(self, name: str, text: str) -> None:
        (self.root / "data" / f"{name}.csv").write_text(text)

    def run(self, rules: dict[str, Any], **more: Any) -> DatasetReport:
        """Load the shops, then the orders with rules on their table."""
        datasets: list[dict[str, Any]] = [
            {"shops": {"path": "shops.csv", "write": "replace"}},
            {"orders": {"path": "orders*.csv", "contract": {"table": rules}, **more}},
        ]
        for dataset in datasets:
            spec = pipeline_from(
                name="p",
                destination=self.destination,
                sources={"f": {"connection": "file://./data", "datasets": dataset}},
                root=self.root,
            )
            with open_workspace(spec) as workspace:
                report = run_pipeline(workspace).datasets[0]
        return report


@pytest.fixture
def shop(tmp_path: Path, destination: str) -> Shop:
    return Shop(tmp_path, destination)


ORDERS = "id,shop,amount,at\n1,A,10,2020-01-01 10:00:00\n2,A,20,2020-01-02 10:00:00\n"
MORE = "id,shop,amount,at\n2,C,5,2020-01-03 10:00:00\n3,,7,2020-01-03 11:00:00\n"


def test_each_rule_refuses_what_breaks_it_and_lets_the_rest_pass(shop):
    broken = {
        "rows": ({"rows": {"ge": 9}}, "the table has 4 rows, fewer than 9"),
        "most": ({"rows": {"le": 3}}, "the table has 4 rows, more than 3"),
        "unique": ({"unique": ["id"]}, "1 rows have id of another row"),
        "nulls": ({"nulls": {"shop": "20%"}}, "shop is null in 25.00% of the rows"),
        "fresh": ({"fresh": {"at": "9 days"}}, "at has no value of the last 9 days"),
        "references": ({"references": {"shop": "shops.code"}}, "1 rows have shop that is not in"),
        "sums": ({"sums": {"amount": "shops.total"}}, "the sum of amount is 42"),
    }
    kept = {
        "rows": {"ge": 2, "le": 4},
        "unique": ["id", ["id", "shop"]],
        "fresh": {"at": "20000 days"},
        "references": {"shop": "shops.code"},
        "nulls": {"shop": 0},
        "sums": {"amount": {"equals": "shops.total", "within": 12}},
    }
    shop.write("orders", ORDERS)
    first = shop.run(kept)
    assert (first.status, first.counts.inserted) == ("loaded", 2), first.reason
    shop.write("shops", "code,total\nA,30\nB,13\n")
    shop.write("orders2", MORE)
    for rules, said in broken.values():
        report = shop.run(rules)
        assert report.status == "failed", (rules, report)
        assert said in report.reason
    last = shop.run({"rows": {"ge": 4, "le": 4}})
    assert (last.status, last.counts.inserted) == ("loaded", 2)  # and nothing of before stayed


def test_a_rule_may_only_warn(shop):
    shop.write("orders", ORDERS)
    report = shop.run({"unique": ["shop"], "severity": "warn"})
    assert (report.status, report.counts.inserted) == ("loaded", 2)
    assert [(rule.rule, rule.on_violation) for rule in report.rules] == [
        ("table.unique(shop)", "warn")
    ]


def test_a_table_or_column_that_is_not_there_is_named(shop):
    shop.write("orders", ORDERS)
    assert "there is no column nope" in shop.run({"unique": ["nope"]}).reason
    assert "nowhere" in shop.run({"references": {"shop": "nowhere.code"}}).reason
    assert "nope" in shop.run({"references": {"shop": "shops.nope"}}).reason


def test_names_are_names_and_nothing_else(shop):
    evil = 'id") FROM shops; DROP TABLE shops; --'
    shop.write("orders", ORDERS)
    assert shop.run({"references": {"shop": f"shops.{evil}"}}).status == "failed"
    assert shop.run({"references": {"shop": "shops.code"}}).status == "loaded"


def test_of_versions_those_that_hold_now_are_judged(shop):
    shop.write("orders", ORDERS)
    versioned = {"write": "scd2", "key": "id"}
    assert shop.run({"unique": ["id"]}, **versioned).status == "loaded"
    shop.write("orders2", "id,shop,amount,at\n2,B,5,2020-01-03 10:00:00\n")
    report = shop.run({"unique": ["id"], "rows": {"le": 2}}, missing="keep", **versioned)
    assert (report.status, report.counts.updated) == ("loaded", 1), report.reason
