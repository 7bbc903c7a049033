from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from prefect.cache_policies import INPUTS
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterFlowRunId
from prefect.client.schemas.objects import TaskRun
from prefect.context import FlowRunContext, TaskRunContext

from prefect_etl.errors import PartitionsFailedError
from prefect_etl.orchestration.caching.frame_inputs import FrameInputs
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import PartitionResults, map_partitions

pytestmark = pytest.mark.usefixtures("prefect_server")


def run_in_flow(*args: object, **options: object) -> tuple[UUID, PartitionResults[object]]:
    @flow
    async def whole():
        results = await map_partitions(*args, **options)
        context = FlowRunContext.get()
        return context.flow_run.id, results

    return asyncio.run(whole())


def task_runs(flow_run: UUID, count: int) -> list[TaskRun]:
    """The server's records, which come a little after the runs."""
    chosen = TaskRunFilter(flow_run_id=TaskRunFilterFlowRunId(any_=[flow_run]))
    with get_client(sync_client=True) as client:
        for _ in range(100):
            found = client.read_task_runs(task_run_filter=chosen)
            if len(found) >= count and all(run.state and run.state.is_final() for run in found):
                return found
            time.sleep(0.1)
    return found


def test_ten_thousand_partitions_are_few_task_runs():
    @task(tags=["heavy"])
    def count(part: pl.DataFrame) -> int:
        return len(part)

    frame = pl.DataFrame({"n": range(10_000)})
    run, results = run_in_flow(count, frame, partition_size=1, max_concurrency=2)
    assert len(results) == 10_000
    runs = task_runs(run, 8)
    assert len(runs) == 8
    assert {run.tags[0] for run in runs} == {"heavy"}
    assert min(run.name for run in runs) == "count 0-1249"
    assert all(run.state.is_completed() for run in runs)


def test_a_stream_of_thousands_is_few_task_runs():
    @task
    def nothing(number: int) -> int:
        return number

    run, results = run_in_flow(nothing, iter(range(5_000)), max_concurrency=2)
    assert results.values() == list(range(5_000))
    assert 10 <= len(task_runs(run, 10)) < 60


def test_a_packed_run_with_failures_shows_as_failed():
    @task
    def odd(number: int) -> int:
        if number == 1:
            raise ValueError("odd")
        return number

    run, results = run_in_flow(odd, range(4), max_concurrency=2, min_success_ratio=0.5)
    assert len(results.failed) == 1
    states = Counter(run.state.name for run in task_runs(run, 4))
    assert states == {"Completed": 3, "Failed": 1}


def test_the_tasks_hooks_are_called_for_packed_runs():
    called = []

    def done(hooked, run, state):
        called.append((hooked.name, run.name, state.name))

    @task(on_completion=[done], on_failure=[done])
    def work(number: int) -> None:
        if number:
            raise ValueError

    map_partitions(work, range(2), max_concurrency=2, min_success_ratio=0)
    assert sorted(called) == [("work", "work 0-0", "Completed"), ("work", "work 1-1", "Failed")]


def test_within_a_partition_the_packed_run_is_the_task_run():
    @task(tags=["mine"])
    def who(_: int) -> tuple[str, list[str]]:
        context = TaskRunContext.get()
        return context.task_run.name, context.task_run.tags

    assert map_partitions(who, [1])[0].value == ("who 0-0", ["mine"])


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_a_timeout_ends_the_packed_run_and_keeps_what_is_done(isasync):
    @task(timeout_seconds=1, retries=3)
    def plain(number: int) -> int:
        time.sleep(0 if number == 0 else 1.5)
        return number

    @task(timeout_seconds=1, retries=3)
    async def coroutine(number: int) -> int:
        await asyncio.sleep(0 if number == 0 else 9)
        return number

    # One lane of packs of several partitions each.
    results = map_partitions(
        coroutine if isasync else plain, range(8), max_concurrency=1, min_success_ratio=0
    )
    assert results[0].value == 0
    timed_out = [result for result in results if isinstance(result.error, TimeoutError)]
    assert len(timed_out) >= (4 if not isasync else 6)
    assert "timeout of 1" in str(timed_out[0].error)


def cached(calls: Counter[int], storage: Path, **options: object):
    @task(result_storage=None, persist_result=True, **options)
    def work(number: int) -> int:
        calls[number] += 1
        if number == 99:
            raise ValueError
        return number * 2

    return work


def test_packed_runs_are_cached_as_the_task_is(tmp_path):
    calls: Counter[int] = Counter()
    policy = INPUTS.configure(key_storage=tmp_path / "keys")
    work = cached(calls, tmp_path, cache_policy=policy, cache_expiration=timedelta(hours=1))
    first = map_partitions(work, range(1000, 1004), max_concurrency=1)
    again = map_partitions(work, range(1000, 1004), max_concurrency=1)
    assert first.values() == again.values() == [2000, 2002, 2004, 2006]
    assert set(calls.values()) == {1}
    assert [result.reused for result in again] == [True] * 4
    assert [result.index for result in again] == [0, 1, 2, 3]
    other = map_partitions(work, [1000, 1002], max_concurrency=1)
    assert other.values() == [2000, 2004]


def test_the_key_function_of_the_task_gets_a_partition(tmp_path):
    calls: Counter[int] = Counter()
    seen = []

    def key(context, parameters):
        seen.append(parameters)
        return f"{tmp_path}-{context.task.name}-{parameters['number']}"

    work = cached(calls, tmp_path, cache_key_fn=key)
    for _ in range(2):
        map_partitions(work, [5, 6], max_concurrency=1)
    assert calls == {5: 1, 6: 1}
    assert seen[:2] == [{"number": 5}, {"number": 6}]


def test_failures_are_not_cached(tmp_path):
    calls: Counter[int] = Counter()
    policy = INPUTS.configure(key_storage=tmp_path / "keys")
    work = cached(calls, tmp_path, cache_policy=policy)
    for _ in range(2):
        with pytest.raises(PartitionsFailedError):
            map_partitions(work, [99], max_concurrency=1)
    assert calls[99] == 2


def test_nothing_is_hashed_where_nothing_is_cached():
    class NeverHashed:
        def __reduce__(self):
            raise AssertionError("hashed")

    @task
    def work(_: object) -> int:
        return 1

    assert map_partitions(work, [NeverHashed()]).values() == [1]


def test_frames_in_the_cache_come_back_as_they_were(tmp_path):
    calls: Counter[int] = Counter()

    @task(cache_policy=FrameInputs().configure(key_storage=tmp_path / "keys"))
    def twice(part: pl.DataFrame, by: int) -> pl.DataFrame:
        calls[len(part)] += 1
        return part * by

    frame = pl.DataFrame({"n": range(4000, 4010)})
    found = [
        map_partitions(twice, frame, partition_size=4, arguments={"by": by}).values()
        for by in (2, 2, 3)
    ]
    assert pl.concat(found[0]).equals(frame * 2)
    assert pl.concat(found[1]).equals(frame * 2)
    assert pl.concat(found[2]).equals(frame * 3)
    assert calls == {4: 4, 2: 2}
