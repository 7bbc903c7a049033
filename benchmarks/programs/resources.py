"""What a `with` costs: a context manager of the standard library, ours, and a shared one.

Prints the processor time of each in microseconds; the machine's other work hardly changes that.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from prefect import flow

from prefect_etl.orchestration.resources import shared
from prefect_etl.utils.database import DatabaseConnection
from prefect_etl.utils.resources import ResourceManager

_REPEATS = 5


class Plain(ResourceManager[int]):
    def setup(self) -> int:
        return 1

    def cleanup(self) -> None: ...


class Async(ResourceManager[int]):
    async def setup(self) -> int:
        return 1

    async def cleanup(self) -> None: ...


class Leased(Plain):
    def handle(self) -> dict[str, Any]:
        return {"name": "x"}

    @classmethod
    def reap(cls, handle: Any) -> None: ...


@contextmanager
def floor() -> Iterator[int]:
    yield 1


@asynccontextmanager
async def async_floor() -> AsyncIterator[int]:
    yield 1


@asynccontextmanager
async def sqlite_floor(path: str) -> AsyncIterator[sqlite3.Connection]:
    connection = await asyncio.to_thread(sqlite3.connect, path, check_same_thread=False)
    try:
        yield connection
    finally:
        await asyncio.to_thread(connection.close)


def timed(make: Callable[[], Any], count: int) -> float:
    found = []
    for _ in range(_REPEATS):
        started = time.process_time()
        for _ in range(count):
            with make():
                pass
        found.append((time.process_time() - started) / count * 1e6)
    return median(found)


async def atimed(make: Callable[[], Any], count: int) -> float:
    found = []
    for _ in range(_REPEATS):
        started = time.process_time()
        for _ in range(count):
            async with make():
                pass
        found.append((time.process_time() - started) / count * 1e6)
    return median(found)


@flow
async def in_a_flow() -> dict[str, float]:
    share, limited = shared(Async()), shared(Plain(), limit=2)
    async with share, limited:
        return {
            "shared, with": timed(lambda: share, 2000),
            "shared, async with": await atimed(lambda: share, 1000),
            "shared with a limit": timed(lambda: limited, 2000),
        }


async def main() -> None:
    folder = Path(tempfile.mkdtemp())
    os.environ["PREFECT_ETL_HOME"] = str(folder)
    database = str(folder / "shop.db")
    url = f"sqlite:///{database}"
    figures = {
        "contextmanager": timed(floor, 5000),
        "ours, plain functions": timed(Plain, 5000),
        "ours, plain with over async": timed(Async, 200),
        "ours, with a lease": timed(Leased, 100),
        "asynccontextmanager": await atimed(async_floor, 2000),
        "ours, async with over async": await atimed(Async, 2000),
        "sqlite3 in to_thread": await atimed(lambda: sqlite_floor(database), 300),
        "DatabaseConnection": await atimed(lambda: DatabaseConnection(url), 300),
    }
    print(json.dumps(figures | await in_a_flow()))


if __name__ == "__main__":
    asyncio.run(main())
