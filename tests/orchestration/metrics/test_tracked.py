"""What ``track_metrics=True`` records; the runs are real, on the session's server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Generator
from typing import Any
from uuid import UUID

import pandas as pd
import polars as pl
import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.states import Failed

from prefect_etl.errors import DataError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.metrics import MetricsRecord, metrics, read_metrics
from prefect_etl.utils.metrics import scopes

OWN = "prefect_etl_flow_"
runs: list[str] = []


def note_run() -> str:
    runs.append(prefect.runtime.flow_run.id)
    return runs[-1]


def tables(flow_run_id: str) -> list[dict[str, dict[str, str]]]:
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run_id)]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=of_run)
    return [
        {row["metric"]: row for row in json.loads(table.data)}
        for table in found
        if table.type == "table"
    ]


def own(record: MetricsRecord, name: str, **tags: str) -> float | None:
    return record.value(OWN + name, **tags)


@task
def frame(rows: int) -> pd.DataFrame:
    metrics.counter("frames", tags={"rows": rows})
    return pd.DataFrame({"a": range(rows)})


async def process_data() -> list[int]:
    return [1, 2, 3]


@flow(name="monitored_flow", track_metrics=True)
async def monitored_flow() -> str:
    with metrics.timer("processing_time"):
        result = await process_data()
    metrics.gauge("records_processed", len(result), tags={"environment": "production"})
    frame(10)
    frame.map([20, 30]).result()
    return note_run()


def test_a_tracked_run_is_kept_and_shown(prefect_server):
    record = read_metrics(asyncio.run(monitored_flow()))
    assert (record.flow, record.outcome, record.attempt) == ("monitored_flow", "completed", 1)
    assert record.value("records_processed", environment="production") == 3
    assert record.value("processing_time_seconds") is not None
    assert record.value("frames_total", rows="20") == 1
    assert own(record, "runs_total", outcome="completed") == 1
    assert own(record, "task_runs", state="completed") == 3
    assert own(record, "task_runs", state="failed") == 0
    assert own(record, "task_retries") == 0
    assert own(record, "rows") == 60
    assert own(record, "bytes") >= 60 * 8
    assert own(record, "duration_seconds") > 0
    assert own(record, "cpu_seconds") > 0
    assert own(record, "peak_memory_bytes") > 10_000_000
    assert own(record, "last_success_timestamp_seconds") > record.started.timestamp()
    (table,) = tables(record.flow_run_id)
    assert table["records_processed"] == {
        "metric": "records_processed",
        "tags": "environment=production",
        "value": "3",
        "more": "",
    }
    assert table[OWN + "rows"]["value"] == "60"


@task(retries=2)
def shaky(tries: list[int]) -> pl.DataFrame:
    tries.append(1)
    if len(tries) < 3:
        raise ValueError("not yet")
    return pl.DataFrame({"a": [1, 2]})


@task
def bad() -> None:
    raise ValueError("bad")


@flow(track_metrics=True)
def mixed() -> list[int]:
    note_run()
    shaky([])
    bad(return_state=True)
    return [1]


def test_task_runs_are_counted_by_state_with_their_retries(prefect_server):
    assert mixed() == [1]
    record = read_metrics(runs[-1])
    assert record.outcome == "completed"
    assert own(record, "task_runs", state="completed") == 1
    assert own(record, "task_runs", state="failed") == 1
    assert own(record, "task_retries") == 2
    assert own(record, "rows") == 2


@flow(track_metrics=True)
def fails(error: str) -> object:
    note_run()
    metrics.counter("before")
    if error == "state":
        return Failed(message="no")
    if error == "future":
        return bad.submit()
    raise KeyError(error)


@pytest.mark.parametrize("how", ["raise", "state", "future"])
def test_a_failed_run_is_kept_as_failed(prefect_server, how):
    assert fails(how, return_state=True).is_failed()
    record = read_metrics(runs[-1])
    assert record.outcome == "failed"
    assert own(record, "runs_total", outcome="failed") == 1
    assert own(record, "last_success_timestamp_seconds") is None
    assert record.value("before_total") == 1
    assert len(tables(record.flow_run_id)) == 1


attempts: list[int] = []


@flow(track_metrics=True, retries=2)
def third_time_lucky() -> int:
    note_run()
    attempts.append(1)
    metrics.counter("tries")
    if len(attempts) < 3:
        raise ValueError("not yet")
    return 1


def test_attempts_of_a_run_are_one_record(prefect_server):
    attempts.clear()
    assert third_time_lucky() == 1
    record = read_metrics(runs[-1])
    assert (record.outcome, record.attempt) == ("completed", 3)
    assert record.value("tries_total") == 3
    assert own(record, "attempts") == 3
    assert own(record, "runs_total", outcome="completed") == 1
    assert own(record, "runs_total", outcome="failed") is None
    assert len(tables(record.flow_run_id)) == 1


@flow(track_metrics=True, retries=2)
def hopeless() -> None:
    note_run()
    raise DataError("wrong for ever")


def test_a_run_that_is_given_up_is_over(prefect_server):
    assert hopeless(return_state=True).is_failed()
    assert read_metrics(runs[-1]).outcome == "failed"
    assert scopes.opened(UUID(runs[-1])) is None


@flow(track_metrics=True)
def interrupted() -> None:
    note_run()
    metrics.counter("before")
    raise KeyboardInterrupt


def test_an_interrupted_run_is_kept(prefect_server):
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    record = read_metrics(runs[-1])
    assert record.outcome == "crashed"
    assert record.value("before_total") == 1
    assert scopes.opened(UUID(runs[-1])) is None


@flow(track_metrics=True)
async def sleeps(begun: Any) -> None:
    note_run()
    metrics.counter("before")
    begun.set()
    await asyncio.sleep(60)


def test_a_cancelled_async_run_is_kept(prefect_server):
    async def main() -> None:
        begun = asyncio.Event()
        running = asyncio.ensure_future(sleeps(begun))
        await begun.wait()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(main())
    assert read_metrics(runs[-1]).outcome == "cancelled"


@flow(track_metrics=True)
def items() -> Generator[int, None, None]:
    note_run()
    for number in range(3):
        metrics.counter("items")
        yield number


@flow(track_metrics=True)
async def async_items() -> AsyncGenerator[int, None]:
    note_run()
    for number in range(3):
        metrics.counter("items")
        yield number


def test_flows_that_yield_are_recorded_too(prefect_server):
    async def collect() -> list[int]:
        return [number async for number in async_items()]

    for found in (list(items()), asyncio.run(collect())):
        assert found == [0, 1, 2]
        record = read_metrics(runs[-1])
        assert (record.outcome, record.value("items_total")) == ("completed", 3)


@flow(track_metrics=True)
async def side_by_side(number: int) -> str:
    for _ in range(number):
        metrics.counter("rows", tags={"run": number})
        frame.submit(1).result()
        await asyncio.sleep(0.01)
    return note_run()


def test_runs_at_once_in_a_process_are_kept_apart(prefect_server):
    async def main() -> list[str]:
        return await asyncio.gather(*(side_by_side(number) for number in (1, 2, 3)))

    for number, run in enumerate(asyncio.run(main()), 1):
        record = read_metrics(run)
        assert record.value("rows_total", run=str(number)) == number
        assert record.value("frames_total", rows="1") == number
        assert own(record, "rows") == number


@flow
def untracked_child() -> None:
    metrics.counter("from_child")


@flow(track_metrics=True)
def tracked_child() -> str:
    metrics.counter("from_child")
    return note_run()


@flow(track_metrics=True)
def parent() -> str:
    untracked_child()
    tracked_child()
    thread = threading.Thread(target=lambda: metrics.counter("from_thread"))
    thread.start()
    thread.join()
    return note_run()


def test_a_subflow_records_for_itself_if_it_is_tracked_else_for_its_parent(prefect_server):
    record = read_metrics(parent())
    assert record.value("from_child_total") == 1
    assert record.value("from_thread_total") == 1
    assert read_metrics(runs[-2]).value("from_child_total") == 1


def test_the_function_of_a_tracked_flow_is_still_a_function(prefect_server):
    @flow(track_metrics=True)
    def double(number: int) -> int:
        return 2 * number

    assert double.fn(2) == 4
    assert double.with_options(track_metrics=False).fn(2) == 4
    assert double(2) == 4


def test_the_last_success_is_remembered_when_a_run_fails(prefect_server):
    @flow(name="now and then", track_metrics=True)
    def now_and_then(*, well: bool) -> None:
        note_run()
        if not well:
            raise ValueError

    now_and_then(well=True)
    succeeded = own(read_metrics(runs[-1]), "last_success_timestamp_seconds")
    now_and_then(well=False, return_state=True)
    record = read_metrics(runs[-1])
    assert own(record, "last_success_timestamp_seconds") == pytest.approx(succeeded, abs=5)
    assert own(record, "last_run_timestamp_seconds") > succeeded
