"""``tables:`` of a source: datasets that are found when the pipeline runs."""

from __future__ import annotations

import duckdb
import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import open_workspace

FILE = """
name: p
destination: duckdb:///warehouse.duckdb
sources:
  ops:
    connection: duckdb:///shop.duckdb
    {}
"""


@pytest.fixture
def run(tmp_path):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as shop:
        shop.execute(
            "CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1), (2);"
            'CREATE TABLE "Order Lines" ("Line ID" INTEGER PRIMARY KEY); CREATE SCHEMA audit;'
            "CREATE TABLE audit.log (line VARCHAR); CREATE VIEW last AS FROM orders LIMIT 1"
        )

    def run(source, only=()):
        (tmp_path / "pipeline.yaml").write_text(FILE.format(source))
        with open_workspace(load_pipeline(tmp_path / "pipeline.yaml")) as workspace:
            return {d.dataset: d for d in run_pipeline(workspace, only).datasets}

    return run


def test_each_table_that_matches_is_a_dataset(run):
    found = run("tables: ['*']\n    defaults: {write: replace}")
    assert set(found) == {"orders", "Order Lines", "last"}
    assert found["orders"].counts.inserted == 2


def test_a_pattern_may_name_the_schema(run):
    assert set(run("tables: [main.o*, audit.*]")) == {"orders", "audit.log"}


def test_what_is_excluded_is_left_out(run):
    assert set(run("tables: ['*']\n    exclude: ['*er*']")) == {"last"}


def test_a_dataset_of_its_own_takes_the_place_of_the_patterns(run):
    found = run("tables: ['*']\n    datasets: {sold: {table: orders, where: id > 1}}")
    assert set(found) == {"sold", "Order Lines", "last"}


def test_a_merge_takes_the_key_of_the_table(run):
    source = "tables: [orders]\n    defaults: {write: merge}"
    assert run(source)["orders"].status == "loaded"
    assert run(source)["orders"].counts.unchanged == 2


def test_names_follow_the_policy(run):
    found = run("tables: ['Order*']\n    defaults: {naming: snake_case}")
    assert set(found) == {"order_lines"}


def test_one_of_them_can_be_run_alone(run):
    assert set(run("tables: ['*']", only=["orders"])) == {"orders"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("tables: [ordrs]", "no table ordrs; did you mean orders"),
        ("tables: [last]\n    defaults: {write: merge}", "do not fit table main.last: .*needs key"),
        ("tables: ['*']\n    datasets: {x: {table: audit.log, into: orders}}", "is claimed by"),
    ],
)
def test_what_does_not_fit_is_refused(run, source, said):
    with pytest.raises(ConfigError, match=said):
        run(source)
