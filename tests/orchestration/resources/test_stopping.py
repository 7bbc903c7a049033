"""Real flow runs in processes of their own are stopped; then what they left is looked at."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from prefect_etl.orchestration.server import ServerInfo

# Every opening and closing, and every use, is a row of a database that outlives the process.
MODULE = """
    import asyncio, os, sqlite3, sys, threading, time
    from pathlib import Path
    from prefect import flow, task
    from prefect_etl.orchestration.resources import shared
    from prefect_etl.utils.database import DatabaseConnection
    from prefect_etl.utils.resources import ResourceManager

    begun = threading.Event()

    def tell(what):
        with sqlite3.connect("told.db", timeout=60) as told:
            told.execute("INSERT INTO told VALUES (?, ?)", [what, os.getpid()])
        told.close()
        if what == "using":
            begun.set()

    class Told(ResourceManager):
        def __init__(self, name):
            self.name = name

        def handle(self):
            return {"name": self.name}

        async def setup(self):
            Path(self.name).write_text("open")
            tell(f"open {self.name}")
            return self.name

        async def cleanup(self):
            await asyncio.to_thread(time.sleep, 0.05)
            tell(f"close {self.name}")
            Path(self.name).unlink()

        @classmethod
        def reap(cls, handle):
            tell(f"reap {handle['name']}")
            Path(handle["name"]).unlink(missing_ok=True)

    class PlainTold(Told):
        def setup(self):
            Path(self.name).write_text("open")
            tell(f"open {self.name}")
            return self.name

        def cleanup(self):
            time.sleep(0.05)
            tell(f"close {self.name}")
            Path(self.name).unlink()

    first, second = shared(Told("first")), shared(PlainTold("second"))
    warehouse = shared(DatabaseConnection("duckdb:///warehouse.duckdb"))
"""

Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def told(tmp_path: Path) -> Callable[[], list[str]]:
    path = tmp_path / "told.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE told(what TEXT, pid INT)")

    def read() -> list[str]:
        with closing(sqlite3.connect(path, timeout=60)) as database:
            return [row[0] for row in database.execute("SELECT what FROM told ORDER BY rowid")]

    return read


@pytest.fixture
def start(tmp_path: Path, prefect_server: ServerInfo, told: Any) -> Iterator[Program]:
    (tmp_path / "flows.py").write_text(textwrap.dedent(MODULE), encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def start(source: str) -> subprocess.Popen[str]:
        text = "from flows import *\n" + textwrap.dedent(source)
        (tmp_path / "script.py").write_text(text, encoding="utf-8")
        world = {
            **os.environ,
            "PYTHONPATH": str(tmp_path),
            "PREFECT_API_URL": prefect_server.url,
            "PREFECT_ETL_HOME": str(tmp_path / "home"),
        }
        process = subprocess.Popen(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=world,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.stdout and not process.stdout.closed:
            process.kill()
            process.communicate()


def wait_for(told: Callable[[], list[str]], row: str, process: subprocess.Popen[str]) -> None:
    while row not in told():
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def is_free(path: Path) -> bool:
    """Whether another process can open a DuckDB file for writing."""
    source = "import duckdb, sys; duckdb.connect(sys.argv[1])"
    return subprocess.run([sys.executable, "-c", source, str(path)], check=False).returncode == 0


SUBMITTED = """
    @task
    def use():
        with first, second, warehouse as connection:
            connection.blocking.execute("CREATE TABLE t(i INT)")
            tell("using")
            time.sleep(0.7)
            connection.blocking.execute("INSERT INTO t VALUES (1)")
            tell("used")

    @flow
    def run():
        use.submit().result()
"""
ASYNC_FLOW = """
    import prefect_etl

    @prefect_etl.task
    async def use():
        async with first, second, warehouse as connection:
            await connection.execute("CREATE TABLE t(i INT)")
            tell("using")
            await asyncio.sleep(0.7)
            await connection.execute("INSERT INTO t VALUES (1)")
            tell("used")

    @flow
    async def arun():
        await use.submit()

    def run():
        asyncio.run(arun())
"""
# A task that has not begun when its flow ends is cancelled.
NOT_WAITED_FOR = SUBMITTED.replace("use.submit().result()", "use.submit(); begun.wait(60)")
IN_THE_FLOW = """
    @flow
    def run():
        with first, second, warehouse as connection:
            connection.blocking.execute("CREATE TABLE t(i INT)")
            tell("using")
            try:
                time.sleep(60)
            finally:
                connection.blocking.execute("INSERT INTO t VALUES (1)")
                tell("used")
"""
IN_THE_ASYNC_FLOW = """
    @flow
    async def arun():
        async with first, second, warehouse as connection:
            await connection.execute("CREATE TABLE t(i INT)")
            tell("using")
            try:
                await asyncio.sleep(60)
            finally:
                connection.blocking.execute("INSERT INTO t VALUES (1)")
                tell("used")

    def run():
        asyncio.run(arun())
"""
FLOWS = {
    "waits for its task": SUBMITTED,
    "waits for an async task": ASYNC_FLOW,
    "is over before its task": NOT_WAITED_FOR,
    "uses it itself": IN_THE_FLOW,
    "is async and uses it itself": IN_THE_ASYNC_FLOW,
}


OFTEN = [
    *((name, signal.SIGTERM) for name in FLOWS),
    ("waits for its task", signal.SIGINT),
    ("is async and uses it itself", signal.SIGINT),
]
ALL = [(name, number) for name in FLOWS for number in (signal.SIGTERM, signal.SIGINT)]


@pytest.mark.parametrize(("flow", "number"), ALL if "PREFECT_ETL_SOAK" in os.environ else OFTEN)
def test_a_stopped_run_closes_in_order_after_its_workers(
    start: Program, told: Any, flow: str, number: signal.Signals, tmp_path: Path
) -> None:
    source = FLOWS[flow]
    process = start(source + "\n    run()\n")
    wait_for(told, "using", process)
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    # A run whose function was over has completed, says Prefect, also after Ctrl-C.
    assert process.returncode != 0 or source is NOT_WAITED_FOR, output
    expected = ["open first", "open second", "using", "used", "close second", "close first"]
    assert told() == expected, output
    assert is_free(tmp_path / "warehouse.duckdb")
    assert list((tmp_path / "home" / "leases").iterdir()) == []


def test_after_sigkill_the_next_run_reaps(start: Program, told: Any, tmp_path: Path) -> None:
    process = start(SUBMITTED + "\n    run()\n")
    wait_for(told, "using", process)
    process.kill()
    process.communicate()
    assert (tmp_path / "first").exists()
    again = start(
        SUBMITTED.replace("CREATE TABLE t", "CREATE OR REPLACE TABLE t") + "\n    run()\n"
    )
    output = again.communicate(timeout=60)[0]
    assert again.returncode == 0, output
    rows = told()
    assert rows[3:5] == ["reap first", "open first"]
    assert rows[-2:] == ["close second", "close first"]
    assert not (tmp_path / "first").exists()
    assert is_free(tmp_path / "warehouse.duckdb")


def test_a_cancelled_flow_run_closes(start: Program, told: Any, tmp_path: Path) -> None:
    """As Prefect's runner cancels: the run becomes Cancelling, its process gets SIGTERM."""
    process = start(
        SUBMITTED
        + """
    if __name__ == "__main__":
        from prefect.runner import Runner
        from prefect.client.orchestration import get_client
        from prefect.states import Cancelling

        async def main():
            async with get_client() as client:
                served = await run.ato_deployment("served")
                async with Runner(pause_on_shutdown=False, query_seconds=1) as runner:
                    deployment = await runner.add_deployment(served)
                    made = await client.create_flow_run_from_deployment(deployment)
                    executing = asyncio.create_task(runner.execute_flow_run(made.id))
                    with sqlite3.connect("told.db") as rows:
                        while not rows.execute(
                            "SELECT 1 FROM told WHERE what = 'using'"
                        ).fetchone():
                            await asyncio.sleep(0.05)
                    await client.set_flow_run_state(made.id, Cancelling(), force=True)
                    await executing
                print("state:", (await client.read_flow_run(made.id)).state.type.value)

        asyncio.run(main())
"""
    )
    output = process.communicate(timeout=120)[0]
    assert told()[-2:] == ["close second", "close first"], output
    assert "state: CANCELLED" in output
    assert is_free(tmp_path / "warehouse.duckdb")
    assert list((tmp_path / "home" / "leases").iterdir()) == []


def test_a_second_ctrl_c_gives_up_waiting_for_workers_and_still_closes(
    start: Program, told: Any, tmp_path: Path
) -> None:
    process = start(SUBMITTED + "\n    run()\n")
    wait_for(told, "using", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert told()[2:] == ["using", "used", "close second", "close first"], output
    assert is_free(tmp_path / "warehouse.duckdb")


def test_workers_in_other_processes_open_one_each_and_close_it_at_their_end(
    start: Program, told: Any, tmp_path: Path
) -> None:
    process = start(
        """
        from prefect.task_runners import ProcessPoolTaskRunner

        @task
        def use(number):
            with first as name:
                tell("use")

        @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
        def run():
            [future.result() for future in use.map(range(3))]

        if __name__ == "__main__":
            run()
        """
    )
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 0, output
    assert told() == ["open first", "use", "use", "use", "close first"], output
    assert list((tmp_path / "home" / "leases").iterdir()) == []
