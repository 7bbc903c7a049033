"""Futures that can be awaited are still Prefect's own, for everything that looks at them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import prefect
import pytest
from prefect.futures import PrefectConcurrentFuture, PrefectFuture, PrefectFutureList
from prefect.task_runners import ThreadPoolTaskRunner

from prefect_etl import flow, task

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@task
def double(number: int) -> int:
    return 2 * number


@task
async def triple(number: int) -> int:
    await asyncio.sleep(0)
    return 3 * number


@task
def fail() -> None:
    raise KeyError("lost")


@task
def nap() -> str:
    time.sleep(0.2)
    return "rested"


class Boxed(ThreadPoolTaskRunner):
    """A user's own runner."""


@pytest.mark.parametrize("decorator", [flow, prefect.flow], ids=["ours", "plain"])
async def test_gather_gives_the_results_in_order(decorator: Any) -> None:
    @decorator
    async def gathered() -> list[int]:
        awaited = await asyncio.gather(*[triple.submit(n) for n in range(5)])
        return awaited + await asyncio.gather(*[double.submit(n) for n in range(3)])

    assert await gathered() == [0, 3, 6, 9, 12, 0, 2, 4]


async def test_a_submitted_task_gives_prefects_own_future() -> None:
    @flow
    async def look() -> list[type]:
        future = double.submit(1)
        assert isinstance(future, PrefectConcurrentFuture)
        assert future.result() == await future == await future == 2
        return type(future).__mro__

    assert PrefectFuture in await look()


async def test_mapped_futures_are_awaited_one_by_one_or_all_at_once() -> None:
    @flow
    async def mapped() -> tuple[list[int], list[int]]:
        futures = triple.map([1, 2, 3])
        assert isinstance(futures, PrefectFutureList)
        return await futures, [await future for future in futures]

    assert await mapped() == ([3, 6, 9], [3, 6, 9])


async def test_a_failed_task_raises_its_own_error_where_it_is_awaited() -> None:
    @flow
    async def awaits() -> str:
        try:
            await fail.submit()
        except KeyError as error:
            return str(error)
        return "nothing"

    assert await awaits() == "'lost'"


async def test_futures_can_be_awaited_after_with_options() -> None:
    @flow
    async def changed() -> int:
        return await double.with_options(name="other", retries=1).submit(4)

    assert await changed() == 8


async def test_a_future_is_still_a_dependency() -> None:
    @flow
    async def chained() -> int:
        first = double.submit(1)
        second = triple.submit(first)
        third = double.submit(5, wait_for=[second])
        return await second + await third

    assert await chained() == 16


async def test_more_futures_than_threads_are_awaited_without_blocking_the_loop() -> None:
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=20))
    async def waits() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        rests = await asyncio.gather(*[nap.submit() for _ in range(40)])
        ticking.cancel()
        assert rests == ["rested"] * 40
        return ticks

    assert await waits() > 5


async def test_a_wait_that_is_given_up_does_not_cancel_the_run() -> None:
    @flow
    async def impatient() -> str:
        future = nap.submit()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(future, 0.02)
        return future.result()

    assert await impatient() == "rested"


async def test_futures_of_a_users_runner_can_be_awaited() -> None:
    @flow(task_runner=Boxed())
    async def boxed() -> int:
        return await double.submit(21)

    assert await boxed() == 42
