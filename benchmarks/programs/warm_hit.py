"""A warm hit beside reading the Parquet file. Arguments: library, megabytes, "load" or "flow".

"load": the part of a hit that reads, without Prefect. "flow": whole task runs on a server: a
cached task of ours, Prefect's own cache, and a plain task that reads the Parquet file.
Prints medians of seconds and of processor seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

_REPEATS = 15
_BYTES_A_ROW = 9 * 8 + 20


def main() -> int:
    library, megabytes, what = sys.argv[1:]
    frame = make(library, int(megabytes) * 1_000_000 // _BYTES_A_ROW)
    write_parquet(frame)
    figures = load(frame) if what == "load" else flow_runs(frame, library)
    print(json.dumps(figures))
    return 0


def make(library: str, rows: int) -> Any:
    random = np.random.default_rng(0)
    data: dict[str, Any] = {f"f{n}": random.random(rows) for n in range(4)}
    data |= {f"i{n}": random.integers(0, 10**6, rows) for n in range(4)}
    data["t"] = np.arange(rows).astype("M8[us]")
    words = pa.array([f"customer number {n:04d}" for n in range(5000)])
    data["s"] = words.take(pa.array(random.integers(0, 5000, rows)))
    table = pa.table(data)
    if library == "pandas":
        return table.to_pandas()
    return pl.from_arrow(table) if library == "polars" else table


def write_parquet(frame: Any) -> None:
    if isinstance(frame, pa.Table):
        pq.write_table(frame, "frame.parquet")
    elif isinstance(frame, pl.DataFrame):
        frame.write_parquet("frame.parquet")
    else:
        frame.to_parquet("frame.parquet")


READERS: dict[str, Callable[[], Any]] = {
    "Table": lambda: pq.read_table("frame.parquet"),
    "pl.DataFrame": lambda: pl.read_parquet("frame.parquet"),
    "pd.DataFrame": lambda: pd.read_parquet("frame.parquet"),
}


def reader(frame: Any) -> Callable[[], Any]:
    if isinstance(frame, pa.Table):
        return READERS["Table"]
    return READERS["pl.DataFrame" if isinstance(frame, pl.DataFrame) else "pd.DataFrame"]


def load(frame: Any) -> dict[str, float]:
    from prefect_etl.orchestration.caching.container import FileContent
    from prefect_etl.orchestration.caching.result_file import read_value, write_value

    path = Path("frame.result")
    with path.open("wb") as file:
        write_value(file, frame, {})

    def hit() -> Any:
        with path.open("rb", buffering=0) as file:
            return read_value(FileContent(file))

    assert hit().shape == frame.shape
    found = in_turn({"hit": hit, "parquet": reader(frame)})
    sizes = {f"{p.suffix[1:]} MB": p.stat().st_size / 1e6 for p in (path, Path("frame.parquet"))}
    return found | sizes


def flow_runs(frame: Any, library: str) -> dict[str, float]:
    import prefect
    from prefect.cache_policies import INPUTS, NO_CACHE

    from prefect_etl import task
    from prefect_etl.orchestration.caching.frame_inputs import FrameInputs

    # By a small argument: the key of a frame is measured in `keys`.
    @task(cache_policy=FrameInputs())
    def ours(_library: str) -> Any:
        return frame

    @prefect.task(cache_policy=INPUTS, persist_result=True, cache_result_in_memory=False)
    def theirs(_library: str) -> Any:
        return frame

    @prefect.task(cache_policy=NO_CACHE)
    def plain(_library: str) -> Any:
        return reader(frame)()

    @prefect.task(cache_policy=NO_CACHE)
    def empty(_library: str) -> None:
        """Only the run."""

    @prefect.flow
    def run() -> dict[str, float]:
        tasks: dict[str, Any] = {"ours": ours, "theirs": theirs, "plain": plain, "empty": empty}
        for each in tasks.values():
            each(library)
        return in_turn({name: lambda each=each: each(library) for name, each in tasks.items()})

    return run()


def in_turn(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    wall: dict[str, list[float]] = {name: [] for name in calls}
    cpu: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(_REPEATS):
        for name, call in calls.items():
            started, used = time.perf_counter(), time.process_time()
            call()
            wall[name].append(time.perf_counter() - started)
            cpu[name].append(time.process_time() - used)
    found = {name: median(values) for name, values in wall.items()}
    return found | {f"{name} cpu": median(values) for name, values in cpu.items()}


if __name__ == "__main__":
    sys.exit(main())
