"""The Prefect flows: the same protocol, seen in Prefect."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from prefect_etl import Pipeline
from prefect_etl.errors import RunFailedError
from prefect_etl.flows.main import etl
from prefect_etl.flows.raw_data import extract_raw
from prefect_etl.flows.transformations import transform

if TYPE_CHECKING:
    from prefect.client.schemas import FlowRun, TaskRun

pytestmark = pytest.mark.usefixtures("prefect_server")

PIPELINE = """
name: shop
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      orders: {path: "orders/*.csv", write: merge, key: id}
      items: {path: "items.csv"}
transformations:
  totals: {sql: "SELECT sum(amount) AS total FROM orders"}
"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    (tmp_path / "data" / "orders").mkdir(parents=True)
    (tmp_path / "data" / "orders" / "1.csv").write_text("id,amount\n1,10\n2,20\n")
    (tmp_path / "data" / "items.csv").write_text("id\n7\n")
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIPELINE)
    return path


def rows(pipeline: Path, query: str) -> list[Any]:
    with duckdb.connect(str(pipeline.parent / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def family(name: str) -> tuple[FlowRun, list[FlowRun], list[TaskRun]]:
    """The newest flow run of a name, its subflow runs, and the task runs of all of them."""
    from prefect import get_client
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        FlowRunFilterName,
        FlowRunFilterParentFlowRunId,
    )
    from prefect.client.schemas.sorting import FlowRunSort

    async with get_client() as client:
        newest = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[name])),
            sort=FlowRunSort.START_TIME_DESC,
            limit=1,
        )
        parent = FlowRunFilterParentFlowRunId(any_=[newest[0].id])
        children = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_flow_run_id=parent)
        )
        ids = [newest[0].id, *(child.id for child in children)]
        tasks = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=ids))
        )
        return newest[0], children, tasks


def test_a_run_loads_and_transforms(pipeline: Path) -> None:
    report = Pipeline.load(pipeline).run()
    assert report.status == "completed"
    assert report.counts.read == report.counts.inserted == 3
    assert rows(pipeline, "SELECT total FROM totals") == [(30,)]
    assert Path(report.links["report"]).read_text().startswith("<!doctype html>")


def test_prefect_shows_the_flows_the_tasks_and_no_more(pipeline: Path) -> None:
    pipeline.write_text(PIPELINE.replace("name: shop", "name: seen"))
    Pipeline.load(pipeline).run()
    run, children, _ = asyncio.run(family("seen"))
    assert run.state_name == "Completed"
    assert len(children) == 2
    assert run.parameters["pipeline"] == str(pipeline)
    _wait_for_tasks("seen", 7)
    names = sorted(task.name for task in asyncio.run(family("seen"))[2])
    # Prefect keeps a task run for each subflow too.
    subflows = ["extract_raw-0", "transform-0"]
    ours = ["build-totals", "extract-items", "extract-orders", "load-items", "load-orders"]
    assert names == sorted(ours + subflows)


def _wait_for_tasks(name: str, number: int) -> None:
    # Prefect's server records task runs from events, a moment after the run.
    import time

    deadline = time.monotonic() + 30
    while len(asyncio.run(family(name))[2]) < number and time.monotonic() < deadline:
        time.sleep(0.2)


def test_a_run_with_nothing_new_makes_no_task_runs_and_no_subflows(pipeline: Path) -> None:
    pipeline.write_text(PIPELINE.replace("name: shop", "name: idle"))
    opened = Pipeline.load(pipeline)
    opened.run()
    _wait_for_tasks("idle", 7)
    report = opened.run()
    assert report.idle
    _, children, tasks = asyncio.run(family("idle"))
    assert (children, tasks) == ([], [])


def test_one_failure_leaves_the_others_and_fails_the_run(pipeline: Path) -> None:
    (pipeline.parent / "data" / "orders" / "2.csv").write_text("id,amount\n1,2,3,4\n5\n")
    report = Pipeline.load(pipeline).run()
    assert report.status == "failed"
    assert report.failures == ("orders",)
    assert {t.name: t.status for t in report.transformations} == {"totals": "skipped"}
    assert rows(pipeline, "SELECT id FROM items") == [(7,)]


@pytest.mark.anyio
async def test_the_flow_itself_fails_with_the_report(pipeline: Path) -> None:
    (pipeline.parent / "data" / "items.csv").unlink()
    with pytest.raises(RunFailedError) as caught:
        await etl(str(pipeline))
    assert caught.value.report.failures == ("items",)
    assert (await family_state("etl"))[0] == "Failed"


async def family_state(name: str) -> list[str]:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[name])),
            sort=FlowRunSort.START_TIME_DESC,
        )
    # Deployments of other tests leave scheduled runs, which never started.
    return [run.state_name or "" for run in runs if run.start_time]


@pytest.mark.anyio
async def test_arun_works_inside_an_event_loop(pipeline: Path) -> None:
    report = await Pipeline.load(pipeline).arun()
    assert report.status == "completed"


@pytest.mark.anyio
async def test_run_works_inside_an_event_loop_too(pipeline: Path) -> None:
    assert Pipeline.load(pipeline).run().status == "completed"


@pytest.mark.anyio
async def test_extract_raw_alone_publishes_nothing(pipeline: Path) -> None:
    extracted = await extract_raw(str(pipeline))
    assert sorted(extracted) == ["items", "orders"]
    assert not (pipeline.parent / "warehouse.duckdb").exists()
    report = await Pipeline.load(pipeline).arun()
    assert [dataset.reused for dataset in report.datasets] == [1, 1]


def test_transform_alone_builds_what_changed(pipeline: Path) -> None:
    Pipeline.load(pipeline).run()
    pipeline.write_text(PIPELINE.replace("sum(amount)", "max(amount)"))
    built = asyncio.run(transform(str(pipeline)))
    assert [(report.name, report.status, report.reason) for report in built] == [
        ("totals", "built", "its SQL changed")
    ]
    assert rows(pipeline, "SELECT total FROM totals") == [(20,)]


def test_only_runs_what_is_named(pipeline: Path) -> None:
    report = Pipeline.load(pipeline).run(only=["items"])
    assert [dataset.dataset for dataset in report.datasets] == ["items"]
    assert report.transformations == ()


def test_a_trial_leaves_no_trace(pipeline: Path) -> None:
    report = Pipeline.load(pipeline).run(limit=1)
    assert {d.dataset: d.counts.read for d in report.datasets} == {"orders": 1, "items": 1}
    assert not (pipeline.parent / "warehouse.duckdb").exists()
    assert not (pipeline.parent / ".prefect_etl").exists()


def test_the_run_log_knows_every_run(pipeline: Path) -> None:
    opened = Pipeline.load(pipeline)
    opened.run()
    (pipeline.parent / "data" / "items.csv").write_text("id,x\n1\n2,3,4\n")
    opened.run()
    assert [report.status for report in opened.history()] == ["failed", "completed"]
    assert opened.report().failures == ("items",)


def test_a_secret_of_the_environment_is_nowhere_to_be_seen(
    pipeline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "s3cr3t-canary"
    monkeypatch.setenv("LANDING", f"file://./data?token={secret}")
    pipeline.write_text(PIPELINE.replace("file://./data", "${LANDING}").replace("shop", "hush"))
    report = Pipeline.load(pipeline).run()
    assert report.status == "failed"
    assert secret not in json.dumps(asyncio.run(family("hush"))[0].parameters)


def test_python_functions_can_be_a_pipeline(tmp_path: Path) -> None:
    calls = []

    def orders() -> list[dict[str, Any]]:
        calls.append(1)
        return [{"id": 1}, {"id": 2}]

    pipeline = Pipeline(
        name="in_python",
        destination="duckdb:///w.duckdb",
        sources={
            "app": {
                "connection": "python://",
                "datasets": {"orders": {"function": orders, "write": "replace"}},
            }
        },
        root=tmp_path,
    )
    assert pipeline.run().counts.inserted == 2
    assert len(calls) == 1
