"""Empty subflows, ours beside Prefect's own, in turn; and a frame of 100 MB as a parameter.

Argument: how many of each. The server is the one that PREFECT_API_URL names.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import prefect

from prefect_etl import flow

# Prefect's synchronous ones take a second each.
_SLOW = 3


@prefect.flow
async def theirs(number: int) -> int:
    return number


@flow
async def ours(number: int) -> int:
    return number


@prefect.flow
def theirs_sync(number: int) -> int:
    return number


@flow
def ours_sync(number: int) -> int:
    return number


@flow
async def of_a_frame(data: pd.DataFrame) -> int:
    return len(data)


Figures = dict[str, list[float]]


def _note(figures: Figures, name: str, started: tuple[float, float]) -> None:
    figures[f"{name}_ms"].append((time.perf_counter() - started[0]) * 1000)
    figures[f"{name}_cpu_ms"].append((time.process_time() - started[1]) * 1000)


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


async def _async(figures: Figures, count: int) -> None:
    frame = pd.DataFrame(np.zeros((1_250_000, 10), dtype="int64"))
    calls: dict[str, Callable[[int], Any]] = {
        "theirs": theirs,
        "ours": ours,
        "frame": lambda _: of_a_frame(frame),
    }
    for number in range(-2, count):  # the first ones warm up
        for name, call in calls.items():
            started = _now()
            await call(number)
            if number >= 0:
                _note(figures, name, started)


def _sync(figures: Figures, count: int) -> None:
    for number in range(-1, count):
        for name, call in (("ours_sync", ours_sync), ("theirs_sync", theirs_sync)):
            if name == "theirs_sync" and number >= _SLOW:
                continue
            started = _now()
            call(number)
            if number >= 0:
                _note(figures, name, started)


@flow
async def parent(figures: dict[str, Any], count: int) -> None:
    await _async(figures, count)


@flow
def sync_parent(figures: dict[str, Any], count: int) -> None:
    _sync(figures, count)


# With a retry to come, content is read and results are kept.
careful = parent.with_options(name="careful", retries=1)


def main() -> None:
    """Measure, and print the medians."""
    logging.disable(logging.INFO)
    count = int(sys.argv[1])
    found: Figures = defaultdict(list)
    retried: Figures = defaultdict(list)
    # As they are, so that what is noted reaches us.
    options = {"validate_parameters": False}
    asyncio.run(parent.with_options(**options)(found, count))
    asyncio.run(careful.with_options(**options)(retried, count))
    sync_parent.with_options(**options)(found, count)
    named = {name: median(values) for name, values in found.items()}
    named |= {f"retried_{name}": median(values) for name, values in retried.items()}
    print(json.dumps({name: round(value, 2) for name, value in named.items()}))


if __name__ == "__main__":
    main()
