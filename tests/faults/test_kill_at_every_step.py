"""SIGKILL at write-side steps of a run, then a restart: every row once, nothing left over.

At all of them with PREFECT_ETL_SOAK.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from runner import Runner
from shop import INCREMENTS, SOAK, arrive, leftovers, make, outcome

# A kill before a step is a kill after the one before it, except where the step itself, though it
# had its effect, had not returned yet.
_ALSO_AFTER = {"commit", "replace"}


@dataclass(frozen=True)
class Start:
    """The state in which a run that is to be killed begins, and what it must lead to."""

    folder: Path
    expected: dict[str, Any]
    steps: list[dict[str, str]]

    def kills(self) -> Iterator[dict[str, int]]:
        """All moments that leave different disks; with PREFECT_ETL_SOAK all moments."""
        changed = True
        for number, step in enumerate(self.steps, 1):
            if changed or SOAK:
                yield {"before": number}
            changed = not _changes_nothing(step)
            if step["call"] in _ALSO_AFTER:
                yield {"after": number}


def _changes_nothing(step: dict[str, str]) -> bool:
    """A kill, unlike a power cut, takes nothing from the cache, so fsync makes no difference."""
    reads = step["call"] == "ATTACH" and step["subject"].endswith("(READ_ONLY)")
    return step["call"] in ("fsync", "begin") or reads


def _start(folder: Path, increment: int, runner: Runner) -> Start:
    """A folder with the files of one increment that still have to be loaded."""
    begun = folder / f"{increment}"
    make(begun, transformations=True)
    for files in INCREMENTS[:increment]:
        arrive(begun, files)
        assert runner.run(begun)["status"] == "completed"
    arrive(begun, INCREMENTS[increment])
    finished = folder / f"{increment}-unkilled"
    shutil.copytree(begun, finished)
    done = runner.run(finished)
    assert done["status"] == "completed", done
    return Start(begun, outcome(finished), done["steps"])


def _faults(start: Start, kill: Mapping[str, float], runner: Runner, number: int) -> list[str]:
    """Kill a run, restart it, and say what is wrong then."""
    root = start.folder.with_name(f"{start.folder.name}-{number}")
    shutil.copytree(start.folder, root)
    try:
        killed = runner.run(root, **kill)
        if killed["status"] != "killed" and "dies_within" not in kill:
            return [f"was not killed: {killed}"]
        restarted = runner.run(root)
        faults = [] if restarted["status"] == "completed" else [str(restarted["failed"])]
        faults += leftovers(root)
        found = outcome(root)
        faults += [
            f"{part} is {str(found[part])[:500]} instead of {str(wanted)[:500]}"
            for part, wanted in start.expected.items()
            if found[part] != wanted
        ]
        return faults
    finally:
        shutil.rmtree(root)


def _all_faults(
    start: Start, kills: Sequence[Mapping[str, float]], runners: list[Runner]
) -> list[list[str]]:
    free: SimpleQueue[Runner] = SimpleQueue()
    for runner in runners:
        free.put(runner)
    numbers = count()

    def attempt(kill: Mapping[str, float]) -> list[str]:
        runner = free.get()
        try:
            return _faults(start, kill, runner, next(numbers))
        finally:
            free.put(runner)

    with ThreadPoolExecutor(len(runners)) as pool:
        return list(pool.map(attempt, kills))


@pytest.mark.parametrize("increment", range(len(INCREMENTS)))
def test_a_run_killed_at_any_step_converges(increment, fast_folder, capsys):
    with Runner() as one, Runner() as two:
        start = _start(fast_folder / "steps", increment, one)
        kills = list(start.kills())
        if not SOAK:  # the increments have steps of the same kinds: each takes its half of them
            kills = kills[increment :: len(INCREMENTS)]
        found = _all_faults(start, kills, [one, two])
    wrong = [
        f"killed {kill}, {start.steps[next(iter(kill.values())) - 1]}: {fault}"
        for kill, faults in zip(kills, found, strict=True)
        for fault in faults
    ]
    with capsys.disabled():
        told = f"killed at {len(kills)} points of {len(start.steps)} steps"
        print(f"\n{told}")  # noqa: T201 - the figure is the point
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("increment", range(len(INCREMENTS)))
def test_a_run_of_several_threads_killed_at_any_time_converges(increment, fast_folder):
    """Also within a statement: while rows are copied, while a transaction commits."""
    chance = random.Random(increment)
    with Runner() as one, Runner() as two:
        start = _start(fast_folder / "times", increment, one)
        moments = [chance.uniform(0.01, 0.5) for _ in range(400 if SOAK else 15)]
        kills = [{"dies_within": moment, "threads": 2} for moment in moments]
        found = _all_faults(start, kills, [one, two])
    assert [faults for faults in found if faults] == []
