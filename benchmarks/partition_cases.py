"""Thousands of partitions: ours beside a plain loop and Prefect's ``map``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_ROWS = 10_000_000
_LIBRARIES = ("pandas", "polars", "arrow")
_PEER = 500


def partitions(bench: Bench) -> Result:
    """A trivial task over a frame of 10 M rows."""

    def program(who: str, library: str, count: int, *more: str) -> Program:
        name = f"{who}, {library}, {count:,}{' '.join(('', *more))}"
        words = (who, library, str(_ROWS), str(count), *more)
        env = {} if who == "loop" else {"PREFECT_API_URL": bench.server.url}
        argv = bench.place.python("partitions", *words)
        return Program(name, argv, bench.folder("partitions"), env=env)

    found = bench.measure(
        *(program(who, library, 10_000) for library in _LIBRARIES for who in ("loop", "ours")),
        program("ours", "arrow", 10_000, "record"),
        program("ours", "arrow", 100),
        program("ours", "arrow", 100_000),
        program("ours", "arrow", _PEER),
        program("prefect", "arrow", _PEER),
    )
    work = {name: medians.figure("work") for name, medians in found.items()}
    grown = {name: medians.figure("grown") for name, medians in found.items()}
    notes = [
        f"{name:<30} work {work[name]:7.3f} s  cpu {m.figure('cpu'):7.3f} s  "
        f"memory grown by {grown[name]:5.0f} MB"
        for name, m in found.items()
    ]
    peer = work[f"prefect, arrow, {_PEER}"] / work[f"ours, arrow, {_PEER}"]
    notes.append(f"{_PEER} partitions: {peer:.0f} times as fast as Prefect's map")
    targets = [
        Target(
            f"10,000 partitions, {library}: a plain loop + 3 s",
            work[f"ours, {library}, 10,000"],
            work[f"loop, {library}, 10,000"] + 3,
        )
        for library in _LIBRARIES
    ]
    flat = grown["ours, arrow, 100"] + 50
    targets.append(
        Target("memory at 10,000: that at 100 + 50 MB", grown["ours, arrow, 10,000"], flat, "MB")
    )
    return Result("partitions of a frame of 10 M rows, warm server", found, tuple(targets), notes)
