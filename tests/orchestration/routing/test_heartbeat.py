"""A synchronous run sends its heartbeat, and its end does not wait for it."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.flow_engine import BaseFlowRunEngine, FlowRunEngine
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from prefect_etl.orchestration.decorators import flow
from prefect_etl.orchestration.routing import heartbeat

NAME = "prefect_etl-heartbeat"


def beating() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


@flow
def child() -> tuple[int, Any]:
    return beating(), prefect.runtime.flow_run.id


@flow
def parent() -> tuple[int, Any]:
    return child()


def heartbeats(run: Any) -> list[Any]:
    with get_client(sync_client=True) as client:
        wanted = {
            "event": {"name": ["prefect.flow-run.heartbeat"]},
            "resource": {"id": [f"prefect.flow-run.{run}"]},
        }
        answer = client._client.post("/events/filter", json={"filter": wanted})
    return list(answer.json()["events"])


def test_a_sync_run_and_its_child_beat_while_they_run_and_not_after(prefect_server: object) -> None:
    threads, run = parent()
    assert threads == 2
    assert beating() == 0
    for _ in range(300):  # the server notes events after the fact
        if found := heartbeats(run):
            break
        time.sleep(0.1)
    assert found[0]["resource"]["prefect.resource.name"]
    assert any(r["prefect.resource.id"].startswith("prefect.flow.") for r in found[0]["related"])


def test_prefect_starts_no_heartbeat_of_its_own_beside() -> None:
    engine = heartbeat._engine_class()
    assert issubclass(engine, FlowRunEngine)
    assert engine.heartbeat_seconds is None


def test_without_a_heartbeat_in_the_settings_there_is_none(prefect_server: object) -> None:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        assert child()[0] == 0


def test_a_prefect_without_the_attribute_is_used_as_it_is_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    heartbeat._engine_class.cache_clear()
    monkeypatch.delattr(BaseFlowRunEngine, "heartbeat_seconds")
    with caplog.at_level(logging.WARNING):
        assert heartbeat._engine_class() is FlowRunEngine
    assert "has no FlowRunEngine.heartbeat_seconds" in caplog.text
    heartbeat._engine_class.cache_clear()


def test_timeouts_retries_and_states_of_sync_runs_are_prefects(prefect_server: object) -> None:
    tries: list[int] = []

    @flow(timeout_seconds=0.2)
    def slow() -> None:
        time.sleep(30)

    @flow(retries=2)
    def flaky() -> int:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError
        return len(tries)

    assert slow(return_state=True).name == "TimedOut"
    assert flaky() == 3
    with pytest.raises(prefect.exceptions.ParameterTypeError):
        flow(lambda number: number).with_options(name="x").validate_parameters({})
