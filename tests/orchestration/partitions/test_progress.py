from __future__ import annotations

import asyncio
import time

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import map_partitions, progress

pytestmark = pytest.mark.usefixtures("prefect_server")


@task
def slow_work(number: int) -> int:
    time.sleep(0.05)
    if number == 7:
        raise ValueError
    return number


@flow
async def whole(count: int) -> None:
    await map_partitions(slow_work, range(count), max_concurrency=1, min_success_ratio=0.5)


def shown() -> list[object]:
    chosen = ArtifactFilter(key=ArtifactFilterKey(any_=["partitions-slow-work"]))
    with get_client(sync_client=True) as client:
        return [found.data for found in client.read_artifacts(artifact_filter=chosen)]


def test_a_long_map_says_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS", 0.3)
    asyncio.run(whole(20))
    lines = [r.getMessage() for r in caplog.records if "partitions done" in r.getMessage()]
    assert 2 <= len(lines) < 12
    assert lines[-1].startswith("slow_work: 20 of 20 partitions done, 1 failed, ")
    assert shown() == [100.0]


def test_a_short_map_says_nothing_and_shows_no_bar(caplog):
    before = shown()
    asyncio.run(whole(2))
    assert "partitions done" not in caplog.text
    assert shown() == before
