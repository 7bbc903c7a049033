from __future__ import annotations

import asyncio
import logging
import math
import multiprocessing
import os
import subprocess
import sys
import threading

import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.utils.metrics import metrics, scopes
from prefect_etl.utils.metrics.runs import SERIES_LIMIT, RunMetrics


def series(run: RunMetrics, name: str, **tags: str) -> dict[str, object]:
    (found,) = [s for s in run.as_list() if (s["name"], s["tags"]) == (name, tags)]
    return found


def test_a_gauge_keeps_its_last_value(run):
    metrics.gauge("queue", 3)
    metrics.gauge("queue", 2)
    assert series(run, "queue")["value"] == 2


def test_a_counter_adds(run):
    metrics.counter("rows", 3)
    metrics.counter("rows")
    assert series(run, "rows_total")["value"] == 4


def test_a_histogram_counts_values_up_to_and_with_each_bound(run):
    for value in (1, 2, 2.5, 9):
        metrics.histogram("size", value, buckets=[1, 2, 4])
    found = series(run, "size")
    assert found["counts"] == [1, 1, 1, 1]
    assert (found["count"], found["sum"], found["min"], found["max"]) == (4, 14.5, 1, 9)


def test_a_timer_measures_a_block_also_one_that_raises(run):
    with metrics.timer("block") as timer:
        pass
    with pytest.raises(KeyError), metrics.timer("block"):
        raise KeyError
    found = series(run, "block_seconds")
    assert found["count"] == 2
    assert 0 < timer.seconds <= found["sum"]


def test_a_timer_measures_async_blocks(run):
    async def main() -> None:
        async with metrics.timer("block", {"way": "async with"}):
            await asyncio.sleep(0.01)
        with metrics.timer("block", {"way": "with"}):
            await asyncio.sleep(0.01)

    asyncio.run(main())
    assert [found["sum"] >= 0.01 for found in run.as_list()] == [True, True]


def test_a_timer_measures_functions_of_each_kind(run):
    @metrics.timer("plain")
    def plain() -> int:
        return 1

    @metrics.timer("generator")
    def generator():
        yield 2

    @metrics.timer("coroutine")
    async def coroutine() -> int:
        await asyncio.sleep(0.01)
        return 3

    @metrics.timer("items")
    async def items():
        yield 4

    async def main() -> list[int]:
        return [await coroutine(), *[item async for item in items()]]

    assert [plain(), *generator(), *asyncio.run(main())] == [1, 2, 3, 4]
    assert [(s["name"], s["count"]) for s in run.as_list()] == [
        *(("coroutine_seconds", 1), ("generator_seconds", 1)),
        *(("items_seconds", 1), ("plain_seconds", 1)),
    ]
    assert series(run, "coroutine_seconds")["sum"] >= 0.01


def test_one_timer_of_a_function_serves_calls_in_many_threads(run):
    @metrics.timer("work")
    def work(depth: int) -> None:
        if depth:
            work(depth - 1)

    threads = [threading.Thread(target=work, args=(3,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert series(run, "work_seconds")["count"] == 32


def test_a_timer_that_measures_a_block_measures_no_other(run):
    timer = metrics.timer("block")
    with timer, pytest.raises(ConfigError, match="measuring a block already"), timer:
        pass


def test_a_timer_with_a_wrong_name_fails_before_the_work(run):
    @metrics.timer("größe")
    def work() -> None:
        raise AssertionError

    with pytest.raises(ConfigError, match="größe"), metrics.timer("größe"):
        raise AssertionError
    with pytest.raises(ConfigError, match="größe"):
        work()


def test_a_timer_around_a_task_is_refused_as_it_would_be_a_task_no_more(run):
    class Task:
        def __call__(self) -> None:
            """Do nothing."""

    with pytest.raises(ConfigError, match="not a Task") as refused:
        metrics.timer("work")(Task())
    assert "below @task" in str(refused.value)


def test_no_value_is_lost_between_threads(run):
    def count() -> None:
        for _ in range(2000):
            metrics.counter("rows", tags={"table": "flights"})
            metrics.histogram("size", 1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert series(run, "rows_total", table="flights")["value"] == 16_000
    assert series(run, "size")["count"] == 16_000


def test_the_order_of_tags_does_not_matter(run):
    metrics.counter("rows", 1, {"a": "1", "b": "2"})
    metrics.counter("rows", 1, {"b": "2", "a": "1"})
    assert series(run, "rows_total", a="1", b="2")["value"] == 2


def test_values_of_tags_that_are_equal_and_not_the_same_are_kept_apart(run):
    metrics.counter("rows", 1, {"a": 1})
    metrics.counter("rows", 1, {"a": True})
    metrics.counter("rows", 1, {"a": [1]})
    assert [s["tags"]["a"] for s in run.as_list()] == ["1", "[1]", "true"]


def test_a_name_has_one_kind_in_a_run(run):
    metrics.histogram("size", 1)
    with pytest.raises(ConfigError, match="size exists already in this run, as a histogram"):
        metrics.gauge("size", 1)


def test_a_histogram_has_the_same_buckets_throughout(run):
    metrics.histogram("size", 1, buckets=[1, 2])
    metrics.histogram("size", 1)
    metrics.histogram("size", 1, {"table": "t"})
    with pytest.raises(ConfigError, match="with other buckets"):
        metrics.histogram("size", 1, buckets=[1, 3])
    with pytest.raises(ConfigError, match="not rising"):
        metrics.histogram("other", 1, buckets=[2, 1])
    assert series(run, "size", table="t")["buckets"] == [1, 2]


def test_a_name_that_a_histogram_has_within_is_refused(run):
    metrics.histogram("size", 1)
    with pytest.raises(ConfigError, match="whose own _count"):
        metrics.gauge("size_count", 1)
    metrics.gauge("rows_sum", 1)
    with pytest.raises(ConfigError, match="rows_sum"):
        metrics.histogram("rows", 1)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("call", ["gauge", "counter", "histogram"])
def test_a_value_that_is_not_finite_is_left_out_with_one_warning(run, caplog, call, value):
    for _ in range(3):
        getattr(metrics, call)("odd", value)
    assert run.as_list() == []
    (warning,) = caplog.messages
    assert "odd" in warning


def test_a_counter_never_goes_down(run, caplog):
    metrics.counter("rows", 5)
    metrics.counter("rows", -1)
    assert series(run, "rows_total")["value"] == 5
    assert "cannot take" in caplog.text


@pytest.mark.parametrize("value", ["many", None, [1]])
def test_a_value_that_is_no_number_is_an_error(run, value):
    with pytest.raises(ConfigError, match="rows takes a number"):
        metrics.gauge("rows", value)


def test_tags_beyond_the_limit_are_counted_together_with_one_warning(run, caplog):
    for number in range(SERIES_LIMIT + 50):
        metrics.counter("rows", 1, {"customer": str(number), "table": "t"})
    assert len(run.as_list()) == SERIES_LIMIT + 1
    assert series(run, "rows_total", customer="overflow", table="overflow")["value"] == 50
    assert len(caplog.messages) == 1
    assert len(run.known) <= SERIES_LIMIT


def test_metrics_beyond_the_limit_are_left_out_with_one_warning(run, caplog, monkeypatch):
    monkeypatch.setattr("prefect_etl.utils.metrics.runs.METRICS_LIMIT", 5)
    for number in range(10):
        metrics.counter(f"metric_{number}")
    assert len(run.as_list()) == 5
    assert len(caplog.messages) == 1


def test_a_thread_without_context_finds_the_only_run(run):
    thread = threading.Thread(target=lambda: metrics.counter("rows"))
    thread.start()
    thread.join()
    assert series(run, "rows_total")["value"] == 1


def test_what_is_recorded_after_the_end_of_a_run_is_not_its(run):
    scopes.close_run("test")
    metrics.counter("late")
    assert run.as_list() == []


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_values_of_a_child_process_reach_the_run(run, method):
    metrics.counter("rows", 1, {"pid": "parent"})
    start = multiprocessing.get_context(method).Process
    children = [
        start(target=metrics.counter, args=("rows", 100, {"pid": "child"})),
        start(target=metrics.counter, args=("rows", 100, {"pid": "child"})),
        start(target=metrics.histogram, args=("size", 3)),
    ]
    for child in children:
        child.start()
    for child in children:
        child.join()
    run.collect()
    run.collect()
    assert series(run, "rows_total", pid="child")["value"] == 200
    assert series(run, "rows_total", pid="parent")["value"] == 1
    assert series(run, "size")["count"] == 1


def test_a_killed_process_has_handed_over_all_that_it_recorded(run):
    program = (
        "import os, signal\n"
        "from prefect_etl.utils.metrics import metrics\n"
        "for _ in range(1000): metrics.counter('rows')\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode < 0
    run.collect()
    assert series(run, "rows_total")["value"] == 1000


def test_a_fork_of_a_child_process_writes_a_journal_of_its_own(run):
    program = (
        "import os\n"
        "from prefect_etl.utils.metrics import metrics\n"
        "metrics.counter('rows')\n"
        "child = os.fork() == 0\n"
        "for _ in range(100): metrics.counter('child' if child else 'parent')\n"
        "child or os.wait()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    run.collect()
    assert [(s["name"], s["value"]) for s in run.as_list()] == [
        ("child_total", 100),
        ("parent_total", 100),
        ("rows_total", 1),
    ]


def test_of_two_open_runs_none_is_guessed(run, tmp_path, caplog):
    scopes._warn_of_no_run.cache_clear()
    assert os.environ[scopes.RUN_VARIABLE] == str(tmp_path)
    scopes.open_run("other", RunMetrics("other", "other", tmp_path / "other"))
    assert scopes.RUN_VARIABLE not in os.environ
    thread = threading.Thread(target=lambda: [metrics.counter("rows") for _ in range(2)])
    thread.start()
    thread.join()
    assert caplog.text.count("does not say its flow run") == 1
    assert run.as_list() == []
    scopes.close_run("other")
    assert os.environ[scopes.RUN_VARIABLE] == str(tmp_path)


def test_importing_it_imports_neither_opentelemetry_nor_prefect():
    check = (
        "import sys, prefect_etl.utils.metrics, prefect_etl.orchestration.metrics;"
        "assert not {'opentelemetry', 'prefect', 'pydantic', 'prometheus_client'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_log_of_metrics_carries_no_traceback(run, caplog):
    caplog.set_level(logging.DEBUG)
    metrics.gauge("odd", math.nan)
    assert [record.exc_info for record in caplog.records] == [None]
