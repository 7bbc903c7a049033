"""Real programs that are killed and interrupted, then started again."""

from __future__ import annotations

import asyncio
import importlib
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from prefect.task_runners import ThreadPoolTaskRunner

from prefect_etl.core.retry import RetryPolicy
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import map_partitions

pytestmark = pytest.mark.usefixtures("prefect_server")

PROGRAM = """
import asyncio, sys, time
from pathlib import Path
import polars as pl
from prefect_etl import flow, task
from prefect_etl.orchestration.partitions import map_partitions

SECONDS = 0.02

@task
def work(part: pl.DataFrame) -> int:
    with open("calls", "a") as calls:
        print(part["n"][0], file=calls, flush=True)
    time.sleep(SECONDS)
    return int(part["n"].sum())

@task
async def awork(part: pl.DataFrame) -> int:
    await asyncio.sleep(0)
    return work.fn(part)

FRAME = pl.DataFrame({"n": range(300)})
OPTIONS = {"partition_size": 1, "record": Path("record"), "max_concurrency": 4}

@flow
def sync() -> int:
    return sum(map_partitions(work, FRAME, **OPTIONS).values())

@flow
async def coroutine() -> int:
    return sum((await map_partitions(awork, FRAME, **OPTIONS)).values())

def main(kind: str) -> int:
    return sync() if kind == "sync" else asyncio.run(coroutine())
"""


def start(folder: Path, kind: str) -> subprocess.Popen[str]:
    (folder / "stopped_program.py").write_text(PROGRAM)
    return subprocess.Popen(
        [sys.executable, "-c", f"import stopped_program; stopped_program.main({kind!r})"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def calls(folder: Path) -> Counter[int]:
    path = folder / "calls"
    return Counter(map(int, path.read_text().split())) if path.exists() else Counter()


def wait_for_calls(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while calls(folder).total() < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("stop", "kind"),
    [
        (signal.SIGKILL, "sync"),
        (signal.SIGKILL, "async"),
        (signal.SIGINT, "sync"),
        (signal.SIGTERM, "async"),
    ],
    ids=["kill", "kill async", "interrupt", "terminate async"],
)
def test_a_second_run_does_only_what_the_first_left(tmp_path, monkeypatch, stop, kind):
    first = start(tmp_path, kind)
    wait_for_calls(tmp_path, 40, first)
    first.send_signal(stop)
    first.communicate()
    assert first.returncode != 0
    assert calls(tmp_path).total() < 300
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    program = importlib.import_module("stopped_program")
    monkeypatch.delitem(sys.modules, "stopped_program")
    program.SECONDS = 0
    assert program.main(kind) == sum(range(300))
    twice = [number for number, count in calls(tmp_path).items() if count > 1]
    assert len(calls(tmp_path)) == 300
    # What was being worked on in that instant is begun again, nothing else.
    assert len(twice) <= 4


def test_a_cancelled_map_stops_soon_and_leaves_the_loop_at_work(tmp_path):
    seen: list[int] = []

    @task
    async def slow(number: int) -> None:
        seen.append(number)
        await asyncio.sleep(0.05)

    @flow
    async def whole() -> bool:
        mapping = asyncio.ensure_future(_mapped())
        while len(seen) < 4:  # noqa: ASYNC110 - another thread adds
            await asyncio.sleep(0.01)
        mapping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mapping
        return True

    async def _mapped() -> None:
        await map_partitions(slow, range(10_000), max_concurrency=2)

    assert asyncio.run(whole())
    assert len(seen) < 1_000


def test_a_waiting_retry_does_not_hold_up_the_stop():
    @task(retries=1, retry_delay_seconds=60)
    def failing(_: int) -> None:
        raise ValueError

    async def main() -> None:
        mapping = asyncio.ensure_future(_mapped())
        await asyncio.sleep(0.5)
        mapping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mapping

    async def _mapped() -> None:
        await map_partitions(failing, range(4))

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 50


def test_a_wait_that_an_error_asked_for_does_not_hold_up_the_stop():
    class BusyServerError(Exception):
        retry_after = 60

    @task(retry=RetryPolicy(max_attempts=2, initial=0))
    def failing(_: int) -> None:
        raise BusyServerError

    async def main() -> None:
        mapping = asyncio.ensure_future(_mapped())
        await asyncio.sleep(0.5)
        mapping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await mapping

    async def _mapped() -> None:
        await map_partitions(failing, range(4))

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began < 50


def test_a_timeout_does_not_wait_for_the_next_attempt():
    @task(timeout_seconds=1, retries=1, retry_delay_seconds=60)
    def failing(_: int) -> None:
        raise ValueError

    began = time.monotonic()
    results = map_partitions(failing, [1], min_success_ratio=0)
    assert isinstance(results[0].error, TimeoutError)
    assert time.monotonic() - began < 50


def test_a_map_that_times_out_is_left_when_its_partitions_are(tmp_path):
    seen: list[str] = []

    @task
    def slow(_: int) -> None:
        seen.append("begins")
        time.sleep(1.5)
        seen.append("ends")

    @flow(timeout_seconds=1)
    async def whole() -> None:
        try:
            await map_partitions(slow, [1])
        finally:
            seen.append("left")  # here a connection would be closed

    with pytest.raises(TimeoutError):
        asyncio.run(whole())
    assert seen in (["begins", "ends", "left"], ["left"])


def test_a_map_within_tasks_needs_none_of_the_flows_threads():
    @task
    def double(number: int) -> int:
        return 2 * number

    @task
    def total(count: int) -> int:
        return sum(map_partitions(double, range(count)).values())

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def whole() -> int:
        return total.submit(4).result()

    assert whole() == 12
