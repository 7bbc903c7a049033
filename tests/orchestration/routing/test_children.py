"""A child flow run is told from its siblings by its content, in every attempt of its parent."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pandas as pd
import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Scheduled

from prefect_etl.orchestration.decorators import EtlFlow, flow, task
from prefect_etl.orchestration.routing import siblings

MANY = 2_000 if os.environ.get("PREFECT_ETL_SOAK") else 200


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

    def once(self, name: object) -> None:
        """Fail the first time."""
        if self.of(name) == 1:
            raise FirstTimeError(name)


RUNS = Runs()


@pytest.fixture(autouse=True)
def runs(prefect_server: object) -> Runs:
    RUNS.seen.clear()
    return RUNS


@flow
async def part(number: int, frame: pd.DataFrame) -> str:
    if RUNS.of(number) == 1 and number % 50 == 49:
        raise FirstTimeError(f"part {number}")
    return f"{number}: {frame['n'].sum()}"


@flow(retries=1)
async def at_once(numbers: int, seed: int) -> dict[int, str]:
    order = list(range(numbers))
    random.Random(seed * RUNS.of("parent")).shuffle(order)
    limit = asyncio.Semaphore(25)

    async def one(number: int) -> str:
        async with limit:
            return await part(number, pd.DataFrame({"n": [number] * 3}))

    results = await asyncio.gather(*map(one, order), return_exceptions=True)
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        raise failed[0]
    return dict(zip(order, map(str, results), strict=True))


@pytest.mark.anyio
async def test_a_retry_gives_each_of_many_children_its_own_result_back(runs: Runs) -> None:
    results = await at_once(MANY, seed=7)
    assert results == {number: f"{number}: {number * 3}" for number in range(MANY)}
    assert runs.seen.pop("parent") == 2
    assert {n for n, times in runs.seen.items() if times != 1} == set(range(49, MANY, 50))
    assert set(runs.seen.values()) == {1, 2}


@flow
async def first(name: str) -> str:
    RUNS.of(("first", name))
    await asyncio.sleep({"A": 0.6, "B": 0.4, "C": 0.0}[name])
    return name


@flow
async def second(name: str) -> str:
    if RUNS.of(("second", name)) == 1 and name == "C":
        raise FirstTimeError(name)
    return f"second of {prefect.runtime.flow_run.parameters['name']}"


@flow(retries=1)
async def sequences() -> list[str]:
    async def one(name: str) -> str:
        return await second(await first(name))

    return await asyncio.gather(*map(one, "ABC"))


@pytest.mark.anyio
async def test_children_that_race_keep_their_parameters_when_the_parent_is_tried_again(
    runs: Runs,
) -> None:
    # As in Prefect's issue 18601; what the first attempt has left running is not run twice.
    assert await sequences() == [f"second of {name}" for name in "ABC"]
    assert runs.seen == {
        **{("first", name): 1 for name in "ABC"},
        **{("second", name): 1 for name in "AB"},
        ("second", "C"): 2,
    }


@flow
def chunk(name: str) -> str:
    RUNS.of(name)
    return f"result of {name}"


@task
def run_chunk(name: str) -> str:
    return chunk(name)


@flow(retries=1)
def through_tasks() -> list[str]:
    order = ["a", "b", "c", "d"] if RUNS.of("parent") == 1 else ["d", "c", "b", "a"]
    results = run_chunk.map(order).result()
    RUNS.once("end")
    return sorted(results)


def test_children_of_tasks_are_told_apart_as_well(runs: Runs) -> None:
    assert through_tasks() == [f"result of {name}" for name in "abcd"]
    assert [runs.seen[name] for name in "abcd"] == [1, 1, 1, 1]


@prefect.flow
def plain_parent_of(child: Any, names: list[str]) -> list[str]:
    results = [child(name) for name in names[:: -1 if RUNS.of("parent") > 1 else 1]]
    RUNS.once("end")
    return results


def test_a_plain_parent_gives_our_children_their_results_back(runs: Runs) -> None:
    again = plain_parent_of.with_options(retries=1, validate_parameters=False)
    assert again(chunk, ["a", "b"]) == ["result of b", "result of a"]
    assert (runs.seen["a"], runs.seen["b"]) == (1, 1)


@flow
def counted(name: str) -> int:
    return RUNS.of(name)


@flow(retries=1)
def twice_the_same() -> list[int]:
    results = [counted("x"), counted("x"), counted(name="x")]
    RUNS.once("end")
    return results


def test_the_same_content_called_more_than_once_is_more_than_one_child(runs: Runs) -> None:
    assert twice_the_same() == [1, 2, 3]
    assert runs.seen["x"] == 3


def multiplied_by(factor: int) -> EtlFlow[..., int]:
    @flow(name="multiplied")
    def multiplied(number: int) -> int:
        return number * factor

    return multiplied


@flow(retries=1)
def of_a_factory() -> dict[int, int]:
    factors = [2, 3] if RUNS.of("parent") == 1 else [3, 2]
    results = {factor: multiplied_by(factor)(10) for factor in factors}
    RUNS.once("end")
    return results


def test_flows_of_one_name_and_code_that_close_over_other_values_are_not_mixed_up() -> None:
    assert of_a_factory() == {3: 30, 2: 20}


@flow
def listing() -> dict[str, Any]:
    return {"rows": [1], "frame": pd.DataFrame({"a": [1]})}


@flow(retries=2)
def changes_what_it_gets() -> tuple[list[int], list[str]]:
    found = listing()
    found["rows"].append(2)
    found["frame"]["b"] = 0
    if RUNS.of("parent") < 3:
        raise FirstTimeError
    return found["rows"], list(found["frame"].columns)


def test_what_a_failed_attempt_did_to_a_result_is_not_seen_by_the_next() -> None:
    assert changes_what_it_gets() == ([1, 2], ["a", "b"])


@pytest.mark.parametrize("options", [{"cache_result_in_memory": False}, {}], ids=["told", "object"])
def test_a_child_runs_again_if_told_to_keep_nothing_or_called_with_what_has_no_content(
    options: dict[str, bool],
) -> None:
    @flow(**options)  # type: ignore[call-overload]
    def child(thing: Any) -> int:
        return RUNS.of("child")

    @flow(retries=1)
    def parent() -> int:
        number = int(child(object() if not options else "content"))
        RUNS.once("end")
        return number

    assert parent() == 2


@flow
def stateful(name: str) -> str:
    if RUNS.of(name) == 1 and name == "bad":
        raise FirstTimeError(name)
    return name


@flow(retries=1)
def by_state() -> list[str]:
    states = [stateful(name, return_state=True) for name in ("good", "bad")]
    RUNS.once("end")
    return [state.result() for state in states]


def test_states_are_given_back_and_failed_ones_run_again(runs: Runs) -> None:
    assert by_state() == ["good", "bad"]
    assert (runs.seen["good"], runs.seen["bad"]) == (1, 2)


@flow
def after(number: int, name: str) -> str:
    RUNS.of(name)
    return f"{name} {number}"


@task
def slow_number() -> int:
    return 7


@flow(retries=1)
def with_futures() -> str:
    number = slow_number.submit()
    result = after(number, "x", wait_for=[number])
    RUNS.once("end")
    return result


def test_futures_among_the_parameters_count_by_their_results(runs: Runs) -> None:
    assert with_futures() == "x 7"
    assert runs.seen["x"] == 1


def child_runs(parent: Any) -> list[Any]:
    from prefect.client.schemas.filters import FlowRunFilter

    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(parent_flow_run_id={"any_": [parent]})
        )


PERSISTED = """
    import sys
    from pathlib import Path
    from uuid import UUID
    from prefect.flow_engine import run_flow
    from prefect.client.orchestration import get_client
    from prefect_etl import flow

    @flow(persist_result=True)
    def child(name: str) -> str:
        with Path("ran").open("a") as file:
            file.write(name)
        return "result of " + name

    @flow
    def parent(names: list[str]) -> list[str]:
        results = [child(name) for name in names]
        if not Path("tried").exists():
            Path("tried").touch()
            raise RuntimeError("first time")
        return results

    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(sys.argv[1])) if len(sys.argv) > 1 else None
        if run is None:
            state = parent(["a", "b"], return_state=True)
            print(state.state_details.flow_run_id)
        else:
            print(run_flow(parent, flow_run=run, parameters={"names": ["b", "a"]}))
"""


def test_results_that_were_persisted_come_back_in_another_process(
    program: Callable[..., Any], tmp_path: Path
) -> None:
    first_process = program(PERSISTED, **here())
    output, errors = first_process.communicate()
    assert first_process.returncode == 0, errors
    run_id = output.strip()
    with get_client(sync_client=True) as client:  # what "Retry" in the UI does
        client.set_flow_run_state(run_id, Scheduled(name="AwaitingRetry"), force=True)
    source = PERSISTED.replace("sys.argv[1]", repr(run_id)).replace("len(sys.argv) > 1", "True")
    second_process = program(source, **here())
    output, errors = second_process.communicate()
    assert second_process.returncode == 0, errors
    assert output.strip() == "['result of b', 'result of a']"
    assert (tmp_path / "ran").read_text() == "ab"


def here() -> dict[str, str]:
    return {"PREFECT_API_URL": os.environ["PREFECT_API_URL"]}


def test_children_are_linked_to_their_parent_in_the_api() -> None:
    @flow
    def parent() -> Any:
        chunk("a")
        chunk("b")
        return prefect.runtime.flow_run.id

    found = child_runs(parent())
    assert sorted(run.parameters["name"] for run in found) == ["a", "b"]
    with get_client(sync_client=True) as client:
        tracking = [client.read_task_run(run.parent_task_run_id) for run in found]
    assert sorted(run.name for run in tracking) == ["chunk-0", "chunk-1"]
    assert all(run.state and run.state.is_completed() for run in tracking)


def test_nothing_is_kept_of_a_run_that_is_over() -> None:
    before = living_families()
    assert twice_the_same() == [1, 2, 3]
    gc.collect()
    assert living_families() <= before


def living_families() -> int:
    return sum(map(len, siblings._FAMILIES.values()))


@flow
def in_a_thread(number: int) -> int:
    RUNS.of(number)
    return number


@flow(retries=1)
def in_threads() -> list[int]:
    numbers = [1, 2, 3, 4] if RUNS.of("parent") == 1 else [4, 3, 2, 1]
    with ThreadPoolExecutor(4) as threads:
        futures = [threads.submit(copy_context().run, in_a_thread, n) for n in numbers]
        results = [future.result() for future in futures]
    RUNS.once("end")
    return results


def test_sync_children_may_run_in_threads_at_once(runs: Runs) -> None:
    assert in_threads() == [4, 3, 2, 1]
    assert [runs.seen[number] for number in (1, 2, 3, 4)] == [1, 1, 1, 1]


@flow
async def cancelled_child() -> int:
    if RUNS.of("child") == 1:
        raise asyncio.CancelledError
    return 3


@flow(retries=1)
async def survives_a_cancelled_child() -> int:
    try:
        return await cancelled_child()
    except asyncio.CancelledError:
        raise FirstTimeError from None


@pytest.mark.anyio
async def test_a_child_that_was_cancelled_runs_again() -> None:
    assert await survives_a_cancelled_child() == 3
