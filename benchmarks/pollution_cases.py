"""How right polluted CSV files are read, by cell, beside DuckDB, CleverCSV and pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_READERS = ("prefect_etl", "DuckDB", "CleverCSV + csv", "pandas")
_COUNTS = ("files", "refused", "wrong", "lost")


def pollution(bench: Bench) -> Result:
    """Every pollution alone and every two that make sense together: about a thousand files."""
    found = bench.measure(
        *(
            Program(name, bench.place.python("pollution", name), bench.folder("pollution"))
            for name in _READERS
        )
    )
    ours, alone = found["prefect_etl"], found["DuckDB"]
    kinds = [kind for kind in ours.samples[0].figures if kind not in _COUNTS]
    notes = [f"{'mean score by cell, 1 is right':<40}" + "".join(f"{n:>17}" for n in _READERS)]
    notes += [
        f"{kind:<40}" + "".join(f"{found[name].figure(kind):17.3f}" for name in _READERS)
        for kind in (*kinds, *_COUNTS)
    ]
    worse = sum(ours.figure(kind) < alone.figure(kind) for kind in kinds)
    return Result(
        "polluted CSV files",
        found,
        (
            Target("kinds of pollution read worse than by DuckDB alone", worse, 0, "kinds"),
            Target("files of which records are lost", ours.figure("lost"), 0, "files"),
        ),
        notes,
    )
