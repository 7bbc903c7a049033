"""Metrics in flows and tasks of plain Prefect, and in other processes."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from uuid import UUID

import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.task_runners import ProcessPoolTaskRunner

from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.metrics import metrics, read_metrics
from prefect_etl.utils.metrics import scopes

runs: list[str] = []


def note_run() -> str:
    runs.append(prefect.runtime.flow_run.id)
    return runs[-1]


def tables(flow_run_id: str) -> list[dict[str, str]]:
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[UUID(flow_run_id)]))
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=of_run)
    return [
        {row["metric"]: row["value"] for row in json.loads(table.data)}
        for table in found
        if table.type == "table"
    ]


@prefect.task
def count(number: int) -> int:
    metrics.counter("rows", number, tags={"where": "task"})
    return number


@prefect.flow
def plain(error: bool = False) -> str:
    metrics.gauge("records_processed", 3)
    note_run()
    count.map([1, 2, 3]).wait()
    if error:
        raise ValueError
    return runs[-1]


@prefect.flow
async def plain_async() -> str:
    async with metrics.timer("processing_time"):
        count(2)
    return note_run()


def test_metrics_of_a_plain_flow_are_kept_and_shown(prefect_server):
    record = read_metrics(plain())
    assert record.outcome == "completed"
    assert record.value("rows_total", where="task") == 6
    assert tables(record.flow_run_id) == [{"records_processed": "3", "rows_total": "6"}]
    assert scopes.opened(UUID(record.flow_run_id)) is None


def test_metrics_of_a_plain_async_flow_are_kept_and_shown(prefect_server):
    record = read_metrics(asyncio.run(plain_async()))
    assert record.outcome == "completed"
    assert record.value("rows_total", where="task") == 2
    assert [[*table] for table in tables(record.flow_run_id)] == [
        ["processing_time_seconds", "rows_total"]
    ]


def test_metrics_of_a_plain_flow_that_fails_are_kept(prefect_server):
    assert plain(error=True, return_state=True).is_failed()
    assert read_metrics(runs[-1]).outcome == "failed"


def test_a_flow_without_metrics_keeps_and_shows_nothing(prefect_server):
    @prefect.flow
    def silent() -> str:
        return note_run()

    silent()
    with pytest.raises(ConfigError, match="no metrics of the flow run"):
        read_metrics(runs[-1])
    assert tables(runs[-1]) == []


@task
def in_process(number: int) -> int:
    metrics.counter("rows", number)
    with metrics.timer("work"):
        return number


@flow(track_metrics=True, task_runner=ProcessPoolTaskRunner(max_workers=2))
def pooled() -> str:
    in_process.map([1, 2, 3, 4]).result()
    return note_run()


def test_tasks_in_other_processes_record_for_the_run(prefect_server):
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # nobody can import a test
    try:
        record = read_metrics(pooled())
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    assert record.value("rows_total") == 10
    (timer,) = [m for m in record.metrics if m["name"] == "work_seconds"]
    assert timer["count"] == 4
    assert record.value("prefect_etl_flow_task_runs", state="completed") == 4


ELSEWHERE = """
    import sys, uuid
    from prefect import task
    from prefect.context import hydrated_context
    from prefect.task_engine import run_task_sync
    from prefect_etl.orchestration.metrics import metrics
    import cloudpickle

    @task
    def remote(number):
        metrics.counter("rows", number)
        metrics.gauge("host", 1, tags={"host": "there"})
        return number

    with open(sys.argv[1], "rb") as stream:
        context = cloudpickle.load(stream)
    with hydrated_context(context):
        assert run_task_sync(remote, parameters={"number": 5}, context=context) == 5
        assert run_task_sync(remote, parameters={"number": 6}, context=context) == 6
"""


@pytest.mark.parametrize("owner", [True, False], ids=["flow records", "flow does not"])
def test_a_task_on_another_machine_hands_over_through_the_api(prefect_server, tmp_path, owner):
    import textwrap

    import cloudpickle
    from prefect.context import serialize_context

    @prefect.flow
    def distributed() -> str:
        if owner:
            metrics.counter("rows", 1)
        (tmp_path / "context").write_bytes(cloudpickle.dumps(serialize_context()))
        environment = {**subprocess.os.environ, "PREFECT_ETL_HOME": str(tmp_path / "home")}
        environment.pop(scopes.RUN_VARIABLE, None)  # nothing is shared but the API
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(ELSEWHERE), str(tmp_path / "context")],
            env=environment,
            check=True,
        )
        return note_run()

    distributed()
    if owner:
        assert read_metrics(runs[-1]).value("rows_total") == 12
        assert tables(runs[-1]) == [{"host": "1", "rows_total": "12"}]
    else:
        found = tables(runs[-1])
        assert sorted(table["rows_total"] for table in found) == ["5", "6"]


KILLED = """
    import os, signal, time
    from prefect_etl.orchestration.decorators import flow
    from prefect_etl.orchestration.metrics import flow_runs, metrics
    import prefect

    flow_runs._FRESH_SECONDS = 0.0

    @flow(track_metrics=True)
    def killed():
        metrics.counter("rows", 7)
        print(prefect.runtime.flow_run.id, flush=True)
        from prefect_etl.orchestration.metrics import read_metrics
        while True:
            try:
                if read_metrics(prefect.runtime.flow_run.id).value("rows_total"):
                    break
            except Exception:
                pass
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGKILL)

    killed()
"""


def test_of_a_killed_run_is_kept_what_it_was_seconds_before(prefect_server):
    import textwrap

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode < 0, done.stderr
    record = read_metrics(done.stdout.split()[0])
    assert (record.outcome, record.value("rows_total")) == ("running", 7)


def test_a_wrong_name_fails_where_it_is_written(prefect_server):
    @prefect.flow
    def wrong() -> None:
        metrics.gauge("größe", 1)

    with pytest.raises(ConfigError, match="cannot be called 'größe'"):
        wrong()


def test_a_home_folder_that_refuses_fails_no_flow(prefect_server, tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PREFECT_ETL_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("PREFECT_API_URL", prefect_server.url)

    @prefect.flow
    def refused() -> str:
        metrics.gauge("queue", 1)
        return note_run()

    assert tables(refused()) == [{"queue": "1"}]
    assert "cannot be kept" in caplog.text
