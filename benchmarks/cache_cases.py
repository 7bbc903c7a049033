"""A warm hit: what it reads, and the whole task run, beside reading the Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_LIBRARIES = ("arrow", "pandas", "polars")
_MEGABYTES = 100
_TIMES_PARQUET = 1.2


def caching(bench: Bench) -> Result:
    """Reading a kept frame of 100 MB, and whole task runs that hit."""

    def program(library: str, what: str) -> Program:
        argv = bench.place.python("warm_hit", library, str(_MEGABYTES), what)
        folder = bench.folder(f"hit-{library}-{what}")
        env = {
            "PREFECT_API_URL": bench.server.url,
            "PREFECT_LOCAL_STORAGE_PATH": str(folder / "results"),
        }
        return Program(f"{library}, {what}", argv, folder, env=env if what == "flow" else {})

    found = bench.measure(
        *(program(library, what) for library in _LIBRARIES for what in ("load", "flow"))
    )
    targets, notes = [], []
    for library in _LIBRARIES:
        loads, runs = found[f"{library}, load"], found[f"{library}, flow"]
        for unit, suffix in (("wall", ""), ("cpu", " cpu")):
            ratio = loads.figure(f"hit{suffix}") / loads.figure(f"parquet{suffix}")
            what = f"{library}: a hit's reading, {_TIMES_PARQUET} x Parquet, {unit}"
            targets.append(Target(what, ratio, _TIMES_PARQUET, "x"))
        times = ", ".join(
            f"{name} {1e3 * runs.figure(who):.0f} ms"
            for name, who in (
                ("task runs: a hit", "ours"),
                ("Prefect's own hit", "theirs"),
                ("a task that reads Parquet", "plain"),
                ("an empty one", "empty"),
            )
        )
        sizes = f"{loads.figure('result MB'):.0f} MB, Parquet {loads.figure('parquet MB'):.0f} MB"
        notes.append(f"{library:<8} file {sizes}; {times}")
    return Result("caching: a warm hit", found, tuple(targets), notes)
