"""Content keys: how fast, beside the bare hash and Prefect's INPUTS, and in how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_LIBRARIES = ("arrow", "pandas", "polars")
_LARGE, _SMALL = 1000, 64
_GIGABYTES_A_SECOND = 4
_TIMES_INPUTS = 20
_MEMORY_ALLOWED_MB = 64


def keys(bench: Bench) -> Result:
    """The key of a frame of 1 GB, and of 64 MB beside INPUTS."""

    def program(library: str, megabytes: int, what: str) -> Program:
        argv = bench.place.python("content_keys", library, str(megabytes), what)
        return Program(f"{library}, {megabytes} MB, {what}", argv, bench.folder("keys"))

    found = bench.measure(
        *(program(library, _LARGE, what) for library in _LIBRARIES for what in ("make", "key")),
        *(program(library, _SMALL, "inputs") for library in _LIBRARIES),
    )
    notes = []
    for name, medians in found.items():
        if name.endswith("make"):
            continue
        size, ratio = medians.figure("gigabytes"), ""
        if name.endswith("inputs"):
            wall, cpu = (
                medians.figure(f"inputs{x}") / medians.figure(f"key{x}") for x in ("", " cpu")
            )
            ratio = f"   {wall:.0f} times as fast as INPUTS, {cpu:.0f} in processor time"
        elif name.startswith("arrow"):
            ratio = f"   {medians.figure('key cpu') / medians.figure('floor cpu'):.1f} x bare xxh3"
        key, cpu = medians.figure("key"), medians.figure("key cpu")
        notes.append(f"{name:<24} {size / key:5.1f} GB/s, {size / cpu:5.1f} a cpu second{ratio}")
    arrow, pandas = found[f"arrow, {_LARGE} MB, key"], found[f"pandas, {_SMALL} MB, inputs"]
    targets = [
        Target(
            f"key of 1 GB of Arrow: {_GIGABYTES_A_SECOND} GB/s",
            arrow.figure("key"),
            arrow.figure("gigabytes") / _GIGABYTES_A_SECOND,
        ),
        Target(
            f"key of 64 MB of pandas: INPUTS / {_TIMES_INPUTS}, cpu",
            pandas.figure("key cpu"),
            pandas.figure("inputs cpu") / _TIMES_INPUTS,
        ),
    ]
    for library in _LIBRARIES:
        made = found[f"{library}, {_LARGE} MB, make"].megabytes
        keyed = found[f"{library}, {_LARGE} MB, key"].megabytes
        limit = made + _MEMORY_ALLOWED_MB
        targets.append(Target(f"memory of a key, {library}: + 64 MB", keyed, limit, "MB"))
    return Result("content keys", found, tuple(targets), notes)
