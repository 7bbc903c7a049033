"""A frame against a contract, beside what the rules cost at least.

Argument: ``ours``, ``floor`` (the same conditions in one DuckDB query over the same Arrow table,
counted) or ``loop`` (one pass of pandas for each rule). Prints seconds without start-up, and what
bad rows cost on top.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import polars as pl

from prefect_etl.orchestration.checking import check

ROWS = 3_000_000
TIMES = 3
CONTRACT = {
    "columns": {
        "id": {"nullable": False, "lt": 10**12},
        "amount": {"ge": 0.01},
        "origin": {"isin": ["EWR", "JFK", "LGA"], "max_length": 3},
    }
}
CONDITIONS = """
    id IS NULL OR NOT id < 1000000000000 OR NOT amount >= 0.01
    OR NOT origin IN ('EWR', 'JFK', 'LGA') OR NOT length(origin) <= 3
"""


def frame() -> pl.DataFrame:
    random = np.random.default_rng(7)
    return pl.DataFrame(
        {
            "id": np.arange(ROWS),
            "amount": random.random(ROWS),  # one row in a hundred is too little
            "origin": random.choice(["EWR", "JFK", "LGA"], ROWS),
        }
    )


def floor(data: pl.DataFrame) -> int:
    table = data.to_arrow()
    with duckdb.connect() as connection:
        connection.register("rows_to_check", table)
        counted = connection.execute(f"SELECT count(*) FROM rows_to_check WHERE {CONDITIONS}")
        (bad,) = counted.fetchone() or (0,)
    return int(bad)


def loop(data: pd.DataFrame) -> int:
    bad = data["id"].isna() | ~(data["id"] < 10**12) | ~(data["amount"] >= 0.01)
    bad |= ~data["origin"].isin(["EWR", "JFK", "LGA"]) | ~(data["origin"].str.len() <= 3)
    return len(data) - len(data[~bad])


def best(call: Callable[[], int]) -> tuple[float, float, int]:
    """The best of some calls: wall and processor seconds, and the bad rows."""
    found = []
    for _ in range(TIMES):
        started, cpu = time.perf_counter(), time.process_time()
        bad = call()
        found.append((time.perf_counter() - started, time.process_time() - cpu, bad))
    return min(found)


def main() -> None:
    how, library = sys.argv[1:3]
    data = frame()
    of = {"polars": data, "pandas": data.to_pandas(), "arrow": data.to_arrow()}[library]
    calls = {
        "ours": lambda: len(check(of, CONTRACT)[1]),
        "floor": lambda: floor(data),
        "loop": lambda: loop(of),
    }
    seconds, cpu, bad = best(calls[how])
    print(json.dumps({"seconds": seconds, "cpu": cpu, "bad": bad}))


if __name__ == "__main__":
    main()
