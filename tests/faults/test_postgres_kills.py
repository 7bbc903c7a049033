"""SIGKILL at the steps of loads into PostgreSQL, and processes that stop and wake."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import psutil
import psycopg
import pytest
from runner import Runner
from shop import SOAK, arrive
from steps import POSTGRES

from servers.postgres import PostgresServer

PIPELINE = """\
name: shop
destination: {uri}
sources:
  landing:
    connection: file://./data
    datasets:
      events: {{path: events/*.csv, after: "SELECT 1"}}
      orders:
        path: orders/*.csv
        write: merge
        key: id
        cursor: updated
        deleted_when: status = 'gone'
      people: {{path: orders/*.csv, write: scd2, key: id, cursor: updated}}
      prices: {{path: prices/*.csv, write: replace}}
"""
FIRST = {
    "events/a.csv": "n,what\n1,open\n2,close\n",
    "events/b.csv": "n,what\n3,open\n3,open\n",
    "orders/1.csv": "id,status,updated\n1,new,2024-01-01\n2,new,2024-01-01\n",
    "prices/1.csv": "sku,price\nx,1\ny,2\n",
}
SECOND = {
    "events/b.csv": "n,what,where\n3,open,\n4,changed,Paris\n",
    "events/c.csv": "n,what\n6,open\n",
    "orders/2.csv": "id,status,updated\n1,gone,2024-01-03\n2,paid,2024-01-04\n",
    "prices/1.csv": "sku,price\nx,1.5\nz,3\n",
}
TABLES = ("events", "orders", "people", "prices")


def tables(uri: str) -> dict[str, Counter[str]]:
    """What a reader sees of each table, in no order, and its ledger."""
    found: dict[str, Counter[str]] = {}
    with psycopg.connect(uri) as connection:
        for name in TABLES:
            if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() == (None,):
                continue
            rows = connection.execute(f"SELECT to_jsonb(t) - '_etl_unit_id' FROM {name} t".encode())
            found[name] = Counter(str(sorted(row.items())) for (row,) in rows.fetchall())
        if connection.execute("SELECT to_regclass('_prefect_etl.loads')").fetchone() != (None,):
            rows = connection.execute(
                "SELECT table_name, version, units, rows_read, rows_inserted, rows_updated, "
                "rows_deleted, rows_superseded, rows_replaced FROM _prefect_etl.loads"
            )
            found["ledger"] = Counter(map(str, rows.fetchall()))
    return found


class Start:
    """A folder and a database whose next increment is still to be loaded, and what that gives."""

    def __init__(
        self, folder: Path, server: PostgresServer, runner: Runner, increment: int
    ) -> None:
        self._server = server
        self.folder = folder
        self.root, self.database = folder / f"{increment}-begun", server.new_database()
        self.point(self.root, self.database)
        arrive(self.root, FIRST)
        if increment:
            self.run(runner, self.root)
            arrive(self.root, SECOND)
        self.before = tables(server.uri(self.database))
        finished, database = self.copy("finished")
        self.steps = self.run(runner, finished)["steps"]
        self.after = tables(server.uri(database))

    def point(self, root: Path, database: str) -> None:
        """Make the pipeline of a folder load into a database."""
        root.mkdir(parents=True, exist_ok=True)
        (root / "pipeline.yaml").write_text(PIPELINE.format(uri=self._server.uri(database)))

    def copy(self, name: str) -> tuple[Path, str]:
        """The same state again, for one attempt."""
        root = self.folder / f"{self.root.name}-{name}"
        database = f"{self.database}_{name}"
        shutil.copytree(self.root, root)
        self._server.execute(f"CREATE DATABASE {database} TEMPLATE {self.database}")
        self.point(root, database)
        return root, database

    def run(self, runner: Runner, root: Path, **job: Any) -> dict[str, Any]:
        done = runner.run(root, **job)
        assert done["status"] == "completed", done
        return done

    def numbered(self, call: str) -> list[int]:
        """The steps of one kind."""
        return [n for n, step in enumerate(self.steps, 1) if step["call"] == f"{POSTGRES} {call}"]

    def kills(self) -> list[dict[str, int]]:
        """Before and after each COMMIT, in each COPY, and now and then between."""
        commits = self.numbered("COMMIT")
        others = [n for n, step in enumerate(self.steps, 1) if step["call"].startswith(POSTGRES)]
        chosen = {*commits, *self.numbered("copy")[1::6], *others[:: 1 if SOAK else 10]}
        return [*({"before": n} for n in sorted(chosen)), *({"after": n} for n in commits)]

    def faults(self, runner: Runner, name: str, kill: Mapping[str, int]) -> list[str]:
        """Kill a run, look, start it again, and look again."""
        root, database = self.copy(name)
        uri = self._server.uri(database)
        assert runner.run(root, **kill)["status"] == "killed"
        faults = [
            f"{table} is neither as before nor as after"
            for table, seen in tables(uri).items()
            if table != "ledger" and seen not in (self.before.get(table), self.after[table])
        ]
        again = runner.run(root)
        faults += [] if again["status"] == "completed" else [str(again["failed"])]
        if tables(uri) != self.after:
            faults.append(f"{tables(uri)} instead of {self.after}")
        shutil.rmtree(root)
        self._server.drop_database(database)
        at = self.steps[next(iter(kill.values())) - 1]
        return [f"killed {kill}, {at}: {fault}" for fault in faults]


@pytest.mark.parametrize("increment", [0, 1])
def test_a_run_killed_at_any_step_converges(increment, fast_folder, postgres, capsys):
    free: SimpleQueue[Runner] = SimpleQueue()
    numbers = count()

    def attempt(kill: Mapping[str, int]) -> list[str]:
        mine = free.get()
        try:
            return start.faults(mine, f"{next(numbers)}", kill)
        finally:
            free.put(mine)

    with Runner() as one, Runner() as two, ThreadPoolExecutor(2) as pool:
        start = Start(fast_folder, postgres, one, increment)
        free.put(one)
        free.put(two)
        kills = start.kills()
        wrong = [fault for faults in pool.map(attempt, kills) for fault in faults]
    with capsys.disabled():
        print(f"\nkilled at {len(kills)} points of {len(start.steps)} steps")  # noqa: T201
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("where", ["BEGIN", "COMMIT"])
def test_a_process_that_stops_and_wakes_publishes_once(where, fast_folder, postgres):
    """Another machine has loaded meanwhile, or has found the table held."""
    with Runner() as one, Runner() as two, ThreadPoolExecutor(1) as pool:
        start = Start(fast_folder / where, postgres, one, 1)
        root, database = start.copy("stopped")
        other = start.folder / "other"
        shutil.copytree(root, other)
        stop = {"before": start.numbered(where)[-1], "signal": "SIGSTOP", "lock_timeout": 0.3}
        sleeper = pool.submit(one.run, root, **stop)
        process = _stopped_child(one)
        meanwhile = two.run(other, lock_timeout=0.3)
        os.kill(process, signal.SIGCONT)
        woken = sleeper.result()
        assert {meanwhile["status"], woken["status"]} <= {"completed", "failed"}
        assert "completed" in (meanwhile["status"], woken["status"])
        start.run(two, other)
        assert tables(postgres.uri(database)) == start.after


def _stopped_child(runner: Runner) -> int:
    parent = psutil.Process(runner.pid)
    while True:
        for child in parent.children():
            if child.status() == psutil.STATUS_STOPPED:
                return child.pid
        time.sleep(0.02)
