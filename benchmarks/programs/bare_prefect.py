"""The floor of orchestration: plain Prefect, as many flows and tasks as asked for, no work.

Arguments: ``NAME:TASKS`` a flow. The first is the main flow; the others are called by it in turn.
"""

from __future__ import annotations

import asyncio
import sys

from prefect import flow, task
from prefect.cache_policies import NO_CACHE


@task(cache_policy=NO_CACHE)
async def nothing(number: int) -> int:
    return number


async def _tasks(count: int) -> None:
    await asyncio.gather(*(nothing(number) for number in range(count)))


@flow
async def part(count: int) -> None:
    await _tasks(count)


@flow
async def whole(count: int, parts: list[int]) -> None:
    for inner in parts:
        await part(inner)
    await _tasks(count)


def main() -> None:
    named = [word.split(":") for word in sys.argv[1:]]
    first, *others = [int(count) for _, count in named]
    asyncio.run(whole.with_options(name=f"bare-{named[0][0]}")(first, others))


if __name__ == "__main__":
    main()
