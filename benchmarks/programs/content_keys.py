"""Content keys beside a floor and a peer, in one process.

Arguments: the library (``arrow``, ``pandas``, ``polars``), MEGABYTES, and what to do: ``make`` the
frame only, ``key`` it, or ``inputs``: key it and let Prefect's INPUTS do the same. Prints the best
seconds of each, wall and processor; the floor is xxh3_128 over the buffers of the Arrow columns,
which is no sound key.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from prefect_etl.core.fingerprint import fingerprint
from prefect_etl.core.frames import bytes_of_frame

_ROW = 60  # bytes, about
_REPEATS = 5


def table(megabytes: int) -> pa.Table:
    """Numbers, dates and text, a tenth of half of the columns null."""
    rows = megabytes * 1_000_000 // _ROW
    rng = np.random.default_rng(1)
    ints, floats = rng.integers(0, 1 << 40, rows), rng.random(rows)
    missing = rng.random(rows) < 0.1
    words = pa.array([f"word {i % 5000} {'x' * (i % 17)}" for i in range(100_000)])
    return pa.table(
        {
            "id": ints,
            "amount": floats,
            "quantity": pa.array(ints, mask=missing),
            "price": pa.array(floats, mask=missing),
            "at": pa.array(ints).cast(pa.timestamp("us")),
            "name": words.take(pa.array(rng.integers(0, len(words), rows))),
        }
    )


def made(library: str, megabytes: int) -> Any:
    """The frame of a library."""
    arrow = table(megabytes)
    if library == "pandas":
        return arrow.to_pandas()
    if library == "polars":
        import polars as pl

        return pl.DataFrame(arrow)
    return arrow


def best(work: Callable[[], object], repeats: int = _REPEATS) -> tuple[float, float]:
    """The least wall and processor seconds."""
    found = []
    for _ in range(repeats):
        started, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - started, time.process_time() - cpu))
    return min(wall for wall, _ in found), min(cpu for _, cpu in found)


def floor(arrow: pa.Table) -> None:
    """xxh3_128 over all buffers."""
    digest = xxhash.xxh3_128()
    for column in arrow.columns:
        for chunk in column.chunks:
            for buffer in chunk.buffers():
                if buffer is not None:
                    digest.update(buffer)


def inputs(frame: Any) -> None:
    """What Prefect does by default."""
    from prefect.cache_policies import INPUTS

    INPUTS.compute_key(task_ctx=None, inputs={"frame": frame}, flow_parameters={})  # type: ignore[arg-type]


def main() -> None:
    """Measure."""
    library, megabytes, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    frame = made(library, megabytes)
    figures = {"gigabytes": (bytes_of_frame(frame) or 0) / 1e9}
    if what != "make":
        figures["key"], figures["key cpu"] = best(lambda: fingerprint(frame))
    if what == "key" and library == "arrow":
        figures["floor"], figures["floor cpu"] = best(lambda: floor(frame))
    if what == "inputs":
        figures["inputs"], figures["inputs cpu"] = best(lambda: inputs(frame), 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
