"""What checking a frame costs, beside DuckDB alone and passes of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_PROGRAMS = {
    "the conditions in DuckDB, counted only": ("floor", "polars"),
    "check, Polars": ("ours", "polars"),
    "check, Arrow": ("ours", "arrow"),
    "check, pandas": ("ours", "pandas"),
    "pandas, a pass for each rule, no reasons": ("loop", "pandas"),
}


def checking(bench: Bench) -> Result:
    """3 million rows, five rules, one row in a hundred bad."""
    found = bench.measure(
        *(
            Program(name, bench.place.python("check_frames", *how), bench.folder("check"))
            for name, how in _PROGRAMS.items()
        )
    )
    floor, *ours = (found[name].figure("cpu") for name in list(_PROGRAMS)[:4])
    notes = [
        f"{name:<42} {m.figure('seconds'):6.2f} s  cpu {m.figure('cpu'):6.2f} s"
        for name, m in found.items()
    ]
    return Result(
        "check: 3 M rows, five rules, processor time",
        found,
        (Target("check, the dearest library / DuckDB alone", max(ours) / floor, 3.0, "x"),),
        notes,
    )
