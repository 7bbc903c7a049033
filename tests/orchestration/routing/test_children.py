"""A child flow run is told from its siblings by its content, in every attempt of its parent."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Iterator

import pandas as pd
import prefect
import pytest

from prefect_etl.orchestration.decorators import flow, task

SOAK = bool(os.environ.get("PREFECT_ETL_SOAK"))
MANY = 2_000 if SOAK else 200


class FirstTimeError(Exception):
    """What is raised once."""


class Runs:
    """What ran, and how often."""

    def __init__(self) -> None:
        self.seen: Counter[object] = Counter()
        self._lock = threading.Lock()

    def of(self, name: object) -> int:
        """Note one more run of something; gives how many there were."""
        with self._lock:
            self.seen[name] += 1
            return self.seen[name]


RUNS = Runs()


@pytest.fixture(autouse=True)
def runs(prefect_server: object) -> Iterator[Runs]:
    RUNS.seen.clear()
    yield RUNS


@flow
async def part(number: int, frame: pd.DataFrame) -> str:
    if RUNS.of(number) == 1 and number % 50 == 49:
        raise FirstTimeError(f"part {number}")
    return f"{number}: {frame['n'].sum()}"


@flow(retries=1)
async def at_once(numbers: int, seed: int) -> dict[int, str]:
    attempt = RUNS.of("parent")
    order = list(range(numbers))
    random.Random(seed * attempt).shuffle(order)
    limit = asyncio.Semaphore(25)

    async def one(number: int) -> str:
        async with limit:
            return await part(number, pd.DataFrame({"n": [number] * 3}))

    results = await asyncio.gather(*map(one, order), return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    return dict(zip(order, results, strict=True))


@pytest.mark.anyio
async def test_a_retry_gives_each_of_many_children_its_own_result_back(runs: Runs) -> None:
    results = await at_once(MANY, seed=7)
    assert results == {number: f"{number}: {number * 3}" for number in range(MANY)}
    assert runs.seen.pop("parent") == 2
    assert {number for number, times in runs.seen.items() if times != 1} == set(
        range(49, MANY, 50)
    )
    assert set(runs.seen.values()) == {1, 2}
