"""What the user's `cache_key_fn` gets, and what happens when it fails."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pandas as pd
import prefect
import pytest
from prefect.tasks import task_input_hash

from prefect_etl import flow, task

RAN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@task(
    retries=3,
    retry_delay_seconds=30,
    cache_key_fn=lambda context, *args, **kwargs: f"{context.task_run.name}:{args[0]}",
    cache_expiration=timedelta(hours=1),
)
async def cached_data_fetch(query_id: str) -> pd.DataFrame:
    RAN.append(query_id)


@flow
async def fetch(query_id: str) -> list[Any]:
    return [await cached_data_fetch(query_id), await cached_data_fetch(query_id=query_id)]


@pytest.mark.anyio
async def test_the_guides_key_hits_on_the_second_call_and_the_second_run() -> None:
    assert await fetch("q1") == [None, None]
    assert await fetch("q1") == [None, None]
    assert await fetch("q2") == [None, None]
    assert RAN == ["q1", "q2"]


@pytest.mark.anyio
async def test_the_guides_key_hits_in_a_plain_prefect_flow() -> None:
    @prefect.flow
    async def plain() -> None:
        await cached_data_fetch("q1")
        await cached_data_fetch.submit("q1")

    await plain()
    assert RAN == ["q1"]
