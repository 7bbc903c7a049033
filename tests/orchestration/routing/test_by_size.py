"""Datasets go where their size says, several at once, in order, with the reason in the log."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import polars as pl
import prefect
import pyarrow as pa
import pytest

from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.routing.by_size import route_by_size

SEEN: Counter[str] = Counter()


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows)})


def small(data: Any) -> str:
    return f"small {len(data)}"


def large(data: Any) -> str:
    return f"large {len(data)}"


async def async_large(data: Any) -> str:
    await asyncio.sleep(0)
    return f"large {len(data)}"


def test_one_dataset_gives_one_result() -> None:
    assert route_by_size(frame(1000), small=small, large=large) == "small 1000"
    assert route_by_size(frame(1001), small=small, large=large) == "large 1001"


def test_many_give_a_list_in_order_and_names_a_dict() -> None:
    sizes = [5, 2000, 7, 3000]
    expected = ["small 5", "large 2000", "small 7", "large 3000"]
    assert route_by_size([frame(n) for n in sizes], small=small, large=large) == expected
    assert route_by_size((frame(n) for n in sizes), small=small, large=large) == expected
    by_name = {str(n): frame(n) for n in sizes}
    assert route_by_size(by_name, small=small, large=large) == dict(
        zip(map(str, sizes), expected, strict=True)
    )
    assert route_by_size([], small=small, large=large) == []


@pytest.mark.parametrize("make", [pl.DataFrame, pa.table, pd.DataFrame])
def test_frames_of_every_library_are_routed(make: Any) -> None:
    data = make({"n": list(range(10))})
    route = partial(route_by_size, data, small=small, large=large)
    assert route(threshold_rows=9) == "large 10"
    assert route(threshold_rows=10) == "small 10"
    assert route(threshold_bytes=50) == "large 10"
    assert route(threshold_bytes=500) == "small 10"


@pytest.mark.anyio
@pytest.mark.parametrize("target", [large, async_large], ids=["sync", "async"])
async def test_async_callables_are_awaited_beside_sync_ones(target: Any) -> None:
    async def async_small(data: Any) -> str:
        return small(data)

    results = await route_by_size([frame(1), frame(2000)], small=async_small, large=target)
    assert results == ["small 1", "large 2000"]
    assert await route_by_size(frame(1), small=async_small, large=target) == "small 1"


class AtOnce:
    """Counts how many calls there are at a time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


def test_no_more_than_the_limit_run_or_are_read_at_a_time() -> None:
    at_once, read = AtOnce(), []

    def work(data: Any) -> int:
        with at_once:
            time.sleep(0.01)
            assert len(read) <= SEEN["done"] + 4
            SEEN["done"] += 1
        return len(data)

    def source() -> Iterator[list[int]]:
        for number in range(20):
            read.append(number)
            yield [number]

    SEEN.clear()
    assert route_by_size(source(), small=work, large=work, max_concurrency=3) == [1] * 20
    assert 2 <= at_once.most <= 3


@pytest.mark.anyio
async def test_no_more_than_the_limit_run_at_a_time_async() -> None:
    at_once = AtOnce()

    async def work(data: Any) -> int:
        with at_once:
            await asyncio.sleep(0.01)
        return len(data)

    results = await route_by_size([[1]] * 20, small=work, large=work, max_concurrency=3)
    assert results == [1] * 20
    assert at_once.most == 3


def failing(data: list[int]) -> int:
    SEEN[f"ran {data[0]}"] += 1
    if data[0] in (2, 4):
        raise ValueError(f"bad {data[0]}")
    return data[0]


async def async_failing(data: list[int]) -> int:
    return failing(data)


@pytest.mark.parametrize("work", [failing, async_failing], ids=["sync", "async"])
def test_others_go_on_when_one_fails_and_its_error_is_raised_at_the_end(work: Any) -> None:
    SEEN.clear()

    async def awaited(routed: Any) -> Any:
        return await routed

    data = [[1], [2], [3], [4], [5]]

    def route() -> Any:
        routed = route_by_size(data, small=work, large=work, max_concurrency=2)
        return asyncio.run(awaited(routed)) if work is async_failing else routed

    with pytest.raises(ValueError, match="bad 2") as caught:
        route()
    assert caught.value.__notes__ == [
        "in dataset 2 of route_by_size()",
        "dataset 4 failed too: ValueError('bad 4')",
    ]
    assert sum(SEEN.values()) == 5


@pytest.mark.anyio
async def test_what_is_cancelled_cancels_what_runs() -> None:
    stopped = asyncio.Event()

    async def endless(data: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)  # its last words
            stopped.set()

    routing = asyncio.ensure_future(route_by_size([[1]], small=endless, large=endless))
    await asyncio.sleep(0.05)
    routing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await routing
    assert stopped.is_set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs either large= or deployment="),
        ({"large": large, "deployment": "a/b"}, "needs either large= or deployment="),
        ({"large": large, "max_concurrency": 0}, "max_concurrency is 0"),
        ({"large": large, "threshold_rows": -1}, "threshold_rows is -1"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        route_by_size([1], small=small, **options)


def test_a_sync_function_that_gives_an_awaitable_is_refused() -> None:
    def gives_an_awaitable(data: Any) -> Any:
        return async_large(data)

    with pytest.raises(ConfigError, match="returned an awaitable"):
        route_by_size([[1], [2]], small=gives_an_awaitable, large=large)


@flow
def child_flow(data: pd.DataFrame) -> str:
    SEEN["child"] += 1
    return f"child {len(data)}"


@prefect.flow
def plain_child(data: pd.DataFrame, extra: str = "") -> str:
    SEEN["plain"] += 1
    return f"plain {len(data)}{extra}"


@task
def process_data(data: pd.DataFrame) -> str:
    return f"task {len(data)}"


@flow(retries=1)
def parent_flow(datasets: list[pd.DataFrame]) -> list[str]:
    results = route_by_size(datasets, small=process_data, large=child_flow)
    results += route_by_size(datasets, small=small, large=partial(plain_child, extra="!"))
    SEEN["parent"] += 1
    if SEEN["parent"] == 1:
        raise RuntimeError("first time")
    return list(results)


def test_in_a_flow_large_ones_become_subflows_with_their_own_results_and_the_log_says_why(
    prefect_server: object, caplog: pytest.LogCaptureFixture
) -> None:
    SEEN.clear()
    with caplog.at_level(logging.INFO):
        found = parent_flow([frame(2500), frame(800), frame(1200)])
    assert found == [
        *("child 2500", "task 800", "child 1200"),
        *("plain 2500!", "small 800", "plain 1200!"),
    ]
    assert (SEEN["child"], SEEN["plain"]) == (2, 2), "a retry gives their results back"
    said = [record.getMessage() for record in caplog.records]
    assert "dataset 1: 2,500 rows > 1,000: subflow child-flow" in said
    assert "dataset 2: 800 rows <= 1,000: task process_data" in said
    assert "dataset 2: 800 rows <= 1,000: small()" in said
    assert "dataset 3: 1,200 rows > 1,000: subflow plain-child" in said


@flow
async def async_child(data: pd.DataFrame) -> int:
    return len(data)


@flow
async def async_parent() -> Any:
    return await route_by_size(
        {"a": frame(2000), "b": frame(5)}, small=child_flow, large=async_child
    )


@pytest.mark.anyio
async def test_async_subflows_run_beside_sync_ones(prefect_server: object) -> None:
    assert await async_parent() == {"a": 2000, "b": "child 5"}
