"""Planning that begins before Prefect is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.active import open_run

PIPELINE = """
name: shop
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      items: {path: "items.csv"}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "items.csv").write_text("id\n7\n")
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return str(path)


def test_a_plan_that_was_begun_ahead_is_the_plan_of_the_run(pipeline: str) -> None:
    with open_run(pipeline) as run:
        begun = run.plan_ahead((), refresh=False)
        assert asyncio.run(run.make_plan(())) is begun.result()
        assert run.plan is begun.result()


def test_a_second_plan_of_a_run_is_a_new_one(pipeline: str) -> None:
    with open_run(pipeline) as run:
        first = asyncio.run(run.make_plan(()))
        (Path(pipeline).parent / "data" / "items.csv").write_text("id\n7\n8\n")
        second = asyncio.run(run.make_plan(()))
        assert [p.size for p in (*first.datasets, *second.datasets)] == [5, 7]


def test_what_stops_a_plan_is_said_where_the_plan_is_wanted(pipeline: str) -> None:
    with open_run(pipeline) as run:
        run.plan_ahead(["itms"], refresh=False)
        with pytest.raises(ConfigError, match="itms"):
            asyncio.run(run.make_plan(["itms"]))


def test_a_run_that_never_wants_its_plan_ends_after_planning(pipeline: str) -> None:
    with open_run(pipeline) as run:
        begun = run.plan_ahead((), refresh=False)
    assert begun.done()
