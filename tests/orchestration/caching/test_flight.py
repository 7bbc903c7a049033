"""Identical calls at the same time compute once: in threads, in an event loop, in processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prefect_etl import flow, task
from prefect_etl.orchestration.caching.entries import clear_entries, list_entries
from prefect_etl.orchestration.caching.flight import Flight
from prefect_etl.orchestration.caching.frame_inputs import FrameInputs

RAN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@task(cache_policy=FrameInputs())
def slow(number: int) -> int:
    RAN.append(number)
    time.sleep(0.3)
    return number


@task(cache_policy=FrameInputs())
async def aslow(number: int) -> int:
    RAN.append(number)
    await asyncio.sleep(0.3)
    return number


@pytest.mark.usefixtures("storage")
def test_threads_compute_once() -> None:
    @flow
    def run() -> list[int]:
        return [future.result() for future in [slow.submit(n % 2) for n in range(8)]]

    assert run() == [0, 1] * 4
    assert sorted(RAN) == [0, 1]


@pytest.mark.usefixtures("storage")
@pytest.mark.anyio
async def test_one_event_loop_computes_once() -> None:
    @flow
    async def run() -> list[int]:
        return await asyncio.gather(*(aslow(n % 2) for n in range(60)))

    assert await run() == [0, 1] * 30
    assert sorted(RAN) == [0, 1]


@pytest.mark.usefixtures("storage")
def test_a_refresh_is_never_a_hit() -> None:
    @flow
    def run() -> None:
        fresh = slow.with_options(refresh_cache=True)
        for future in [fresh.submit(1), fresh.submit(1)]:
            future.result()

    run()
    assert RAN == [1, 1]


@pytest.mark.usefixtures("storage")
def test_calls_that_shall_not_wait_do_not() -> None:
    together = threading.Barrier(2, timeout=30)

    @task(cache_policy=FrameInputs().configure(isolation_level="READ_COMMITTED"))
    def meet(number: int) -> int:
        return together.wait() * 0 + number

    @flow
    def run() -> list[int]:
        return [future.result() for future in [meet.submit(5), meet.submit(5)]]

    assert run() == [5, 5]


@pytest.mark.usefixtures("storage")
@pytest.mark.anyio
async def test_a_call_that_is_cancelled_lets_the_next_one_go_on() -> None:
    started = asyncio.Event()

    @task(cache_key_fn=lambda context, *args: "k")
    async def wait_long() -> int:
        started.set()
        await asyncio.sleep(0.01 if RAN else 60)
        return 7

    first = asyncio.ensure_future(wait_long())
    await started.wait()
    waiting = asyncio.ensure_future(wait_long())
    await asyncio.sleep(0.1)
    RAN.append("cancelled")
    first.cancel()
    assert await waiting == 7


PROGRAM = """
    import os, sys, time
    from prefect_etl import task
    from prefect_etl.orchestration.caching.frame_inputs import FrameInputs

    @task(cache_policy=FrameInputs())
    def compute(number):
        with open("ran", "a") as file:
            file.write("ran\\n")
        while not os.path.exists("go"):
            time.sleep(0.01)
        return number + 1

    print(compute(1))
"""


@pytest.fixture
def start(tmp_path: Path, storage: Path) -> Callable[[], subprocess.Popen[str]]:
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def begin() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=tmp_path,
            env=os.environ | {"PREFECT_LOCAL_STORAGE_PATH": str(storage)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return begin


def wait_for(true: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not true():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_processes_compute_once_and_a_killed_one_leaves_its_turn(
    start: Callable[[], subprocess.Popen[str]], tmp_path: Path, storage: Path
) -> None:
    ran = tmp_path / "ran"
    killed = start()
    wait_for(ran.exists, killed)
    others = [start(), start()]
    time.sleep(0.5)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    wait_for(lambda: ran.read_text().count("ran") == 2, others[0])
    (tmp_path / "go").touch()
    assert [process.communicate()[0].strip() for process in others] == ["2", "2"]
    assert ran.read_text().count("ran") == 2
    assert len(list_entries(storage)) == 1


def test_a_lock_ends_with_its_file_removed(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "k.lock"
    flight = Flight(path)
    flight.begin()
    assert path.exists()
    flight.end()
    flight.end()
    assert not path.exists()


def test_a_lock_that_cannot_be_made_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    flight = Flight(tmp_path / "file" / "k.lock")
    flight.begin()
    flight.end()


def test_clearing_removes_what_a_killed_process_left_and_spares_what_is_written(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "prefect-etl"
    folder.mkdir()
    for name in ("dead", "held", "young"):
        (folder / f"{name}.tmp").touch()
        if name != "young":
            os.utime(folder / f"{name}.tmp", (0, 0))
    with (folder / "held.tmp").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        clear_entries(tmp_path)
    assert sorted(path.stem for path in folder.iterdir()) == ["held", "young"]


@pytest.mark.usefixtures("storage")
def test_a_lock_manager_of_the_user_is_used() -> None:
    # In memory: Prefect's file locks read a lock's file while another thread writes it, and fail.
    from prefect.locking.memory import MemoryLockManager

    taken: list[str] = []

    class Locks(MemoryLockManager):
        def acquire_lock(self, key: str, *args: Any, **kwargs: Any) -> bool:
            taken.append(key)
            return super().acquire_lock(key, *args, **kwargs)

    theirs = slow.with_options(cache_policy=FrameInputs().configure(lock_manager=Locks()))

    @flow
    def run() -> list[int]:
        return [future.result() for future in [theirs.submit(1), theirs.submit(1)]]

    assert run() == [1, 1]
    assert RAN == [1]
    assert len(taken) == 2
