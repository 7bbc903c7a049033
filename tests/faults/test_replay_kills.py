"""SIGKILL at every write-side step of a replay, then a restart: every row once, files closed."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import duckdb
from runner import Runner
from shop import SOAK, arrive

from prefect_etl.pipeline.quarantine import Quarantine

PIPELINE = """\
name: aside
destination: duckdb:///warehouse.duckdb
sources:
  landing:
    connection: file://./data
    datasets:
      added: {path: added/*.csv, contract: {columns: {v: {ge: LEAST}}}}
      replaced: {path: replaced/*.csv, write: replace, contract: {columns: {v: {ge: LEAST}}}}
"""
FILES = {
    "added/a.csv": "id,v\n1,5\n2,-1\n3,-9\n",
    "added/b.csv": "id,v\n4,-2\n4,-2\n",
    "replaced/a.csv": "id,v\n1,5\n2,-1\n3,-9\n",
}
DATASETS = ("added", "replaced")


def made(root: Path, runner: Runner) -> Path:
    """A project with rows in quarantine, and a contract that lets most of them pass."""
    root.mkdir(parents=True)
    file = root / "pipeline.yaml"
    file.write_text(PIPELINE.replace("LEAST", "0"))
    arrive(root, FILES)
    done = runner.run(root)
    assert done["status"] == "completed", done
    file.write_text(PIPELINE.replace("LEAST", "-5"))
    return root


def outcome(root: Path) -> dict[str, Any]:
    """All that has to be the same however often a replay was killed."""
    found: dict[str, Any] = {}
    quarantine = Quarantine(root / ".prefect_etl/aside/quarantine")
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        for table in DATASETS:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            found[table] = Counter(rows)
            entries = quarantine.entries(table)
            found[f"{table} closed"] = sum(bool(entry.closed) and entry.loaded for entry in entries)
            found[f"{table} unpublished"] = [e.name for e in entries if not (e.closed or e.loaded)]
            found[f"{table} open"] = [
                connection.execute(
                    f"SELECT id, v, _source, _row, _reasons FROM '{e.path}'"
                ).fetchall()
                for e in entries
                if not e.closed
            ]
        found["ledger"] = connection.execute(
            "SELECT table_name, version, rows_read, rows_inserted, rows_quarantined "
            "FROM _prefect_etl.loads ORDER BY ALL"
        ).fetchall()
    return found


def orphans(root: Path) -> list[str]:
    """What a replay must not leave."""
    kept = root / ".prefect_etl/aside"
    found = [str(path) for path in kept.rglob(".*")]
    return found + [str(path) for path in (kept / "raw/leases").iterdir()]


def faults(start: Path, expected: dict[str, Any], kill: dict[str, Any], runner: Runner, n: int):
    """Kill a replay, start another, at times after a run, and say what is wrong then."""
    root = start.with_name(f"killed-{n}")
    shutil.copytree(start, root)
    try:
        killed = runner.run(root, replay=True, **kill)
        if killed["status"] != "killed":
            return [f"was not killed: {killed}"]
        again = [{}, {"replay": True}] if n % 3 == 0 else [{"replay": True}]
        answers = [runner.run(root, **job) for job in again]
        wrong = [str(done["failed"]) for done in answers if done["status"] != "completed"]
        found = outcome(root)
        parts = [] if n % 3 == 0 else expected  # a run judges what is replaced again by itself
        wrong += [
            f"{part} is {found[part]}, not {expected[part]}"
            for part in parts
            if found[part] != expected[part]
        ]
        wrong += [f"{t} is {found[t]}" for t in DATASETS if found[t] != expected[t]]
        return wrong + orphans(root)
    finally:
        shutil.rmtree(root)


def _kills(steps: list[dict[str, str]]) -> Iterator[dict[str, int]]:
    """Moments that leave different disks; with PREFECT_ETL_SOAK all moments."""
    changed = True
    for number, step in enumerate(steps, 1):
        if changed or SOAK:
            yield {"before": number}
        reads = step["call"] == "ATTACH" and step["subject"].endswith("(READ_ONLY)")
        apart = "temp.main." in step["subject"] or step["call"] == "DETACH"
        changed = not (step["call"] in ("fsync", "begin") or reads or apart)
        if step["call"] == "commit":
            yield {"after": number}


def test_a_replay_killed_at_any_step_converges(fast_folder, capsys):
    free: SimpleQueue[Runner] = SimpleQueue()
    numbers = count()
    with Runner() as one, Runner() as two:
        start = made(fast_folder / "start", one)
        finished = fast_folder / "finished"
        shutil.copytree(start, finished)
        done = one.run(finished, replay=True)
        assert done["status"] == "completed", done
        expected = outcome(finished)
        kills = list(_kills(done["steps"]))
        for runner in (one, two):
            free.put(runner)

        def attempt(kill: dict[str, Any]) -> list[str]:
            runner = free.get()
            try:
                return faults(start, expected, kill, runner, next(numbers))
            finally:
                free.put(runner)

        with ThreadPoolExecutor(2) as pool:
            found = list(pool.map(attempt, kills))
    wrong = [f"{kill}: {fault}" for kill, said in zip(kills, found, strict=True) for fault in said]
    with capsys.disabled():
        print(f"\nkilled at {len(kills)} points of {len(done['steps'])} steps")  # noqa: T201 - the figure is the point
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


def _at_once(root: Path, *jobs: dict[str, Any]) -> list[dict[str, Any]]:
    """What several processes say that begin at the same time."""
    with Runner() as one, Runner() as two, ThreadPoolExecutor(2) as pool:
        done = [pool.submit(r.run, root, **job) for r, job in zip((one, two), jobs, strict=True)]
        return [part.result() for part in done]


def test_two_replays_at_once_load_a_row_once(fast_folder):
    with Runner() as runner:
        root = made(fast_folder / "twice", runner)
    answers = _at_once(root, {"replay": True}, {"replay": True})
    assert [done["status"] for done in answers] == ["completed"] * 2, answers
    found = outcome(root)
    assert found["added"].total() == 4
    assert found["added unpublished"] == []
    assert [len(rows) for rows in found["added open"]] == [1]


def test_a_replay_and_a_run_at_once_double_and_lose_nothing(fast_folder):
    with Runner() as runner:
        root = made(fast_folder / "run", runner)
    arrive(root, {"added/a.csv": "id,v\n1,5\n2,-1\n9,9\n", "added/c.csv": "id,v\n6,-2\n"})
    answers = _at_once(root, {"replay": True}, {})
    assert [done["status"] for done in answers] == ["completed"] * 2, answers
    with Runner() as runner:
        assert runner.run(root, replay=True)["status"] == "completed"
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute("SELECT id, v FROM added ORDER BY ALL").fetchall()
    assert rows == [(1, 5), (2, -1), (4, -2), (4, -2), (6, -2), (9, 9)]
