"""A trivial task over partitions of a frame: plain loop, ours, or Prefect's ``map``.

Arguments: ``loop | ours | prefect``, ``pandas | polars | arrow``, rows, partitions, and ``record``
to keep a durable record. Prints what the work took, without imports and without making the frame.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def frame_of(library: str, rows: int) -> Any:
    import numpy as np
    import pyarrow as pa

    columns = {name: np.arange(rows, dtype=np.int64) for name in ("id", "amount", "day")}
    if library == "arrow":
        return pa.table(columns)
    if library == "polars":
        import polars as pl

        return pl.DataFrame(columns)
    import pandas as pd

    return pd.DataFrame(columns)


def slices(frame: Any, library: str, size: int) -> Any:
    for start in range(0, len(frame), size):
        yield frame.iloc[start : start + size] if library == "pandas" else frame.slice(start, size)


def count(part: Any) -> int:
    return len(part)


def loop(frame: Any, library: str, size: int, _: bool) -> int:
    return sum([count(part) for part in slices(frame, library, size)])


def ours(frame: Any, _: str, size: int, record: bool) -> int:
    from prefect_etl import flow, task
    from prefect_etl.orchestration.partitions import map_partitions

    mapped = task(count)
    where = Path("record") if record else None

    @flow
    async def whole() -> tuple[int, float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        found = await map_partitions(mapped, frame, partition_size=size, record=where)
        return sum(found.values()), time.perf_counter() - began, time.process_time() - cpu

    return asyncio.run(whole())


def prefect(frame: Any, library: str, size: int, _: bool) -> int:
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE

    mapped = task(count, cache_policy=NO_CACHE)

    @flow
    async def whole() -> tuple[int, float, float]:
        began, cpu = time.perf_counter(), time.process_time()
        found = await asyncio.to_thread(
            lambda: mapped.map(list(slices(frame, library, size))).result()
        )
        return sum(found), time.perf_counter() - began, time.process_time() - cpu

    return asyncio.run(whole())


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def main() -> None:
    said: dict[str, float] = {}
    # Registered first, so it comes last: Prefect says things when the process ends.
    atexit.register(lambda: print(json.dumps(said), flush=True))
    who, library, rows, partitions = sys.argv[1:5]
    frame = frame_of(library, int(rows))
    size = -(-int(rows) // int(partitions))
    before, began, cpu = peak(), time.perf_counter(), time.process_time()
    found = {"loop": loop, "ours": ours, "prefect": prefect}[who](
        frame, library, size, "record" in sys.argv
    )
    total, seconds, used = (
        found
        if isinstance(found, tuple)
        else (found, time.perf_counter() - began, time.process_time() - cpu)
    )
    assert total == int(rows)
    said.update({"work": seconds, "cpu": used, "grown": peak() - before})


if __name__ == "__main__":
    main()
