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
from prefect_etl.orchestration.caching.entries import list_entries

pytestmark = pytest.mark.usefixtures("storage")
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


PROGRAM = """
    import asyncio
    from datetime import timedelta
    from prefect_etl import task

    @task(
        cache_key_fn=lambda context, *args, **kwargs: f"{context.task_run.name}:{args[0]}",
        cache_expiration=timedelta(hours=1),
    )
    async def cached_data_fetch(query_id: str):
        print("ran")
        return {"rows": (1, 2)}

    print(asyncio.run(cached_data_fetch("q1")))
"""


def test_the_guides_key_hits_in_a_second_process(run_program: Any) -> None:
    assert run_program(PROGRAM).splitlines() == ["ran", "{'rows': (1, 2)}"]
    assert run_program(PROGRAM).splitlines() == ["{'rows': (1, 2)}"]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (
            lambda context, *args, **kwargs: str((args, kwargs)),
            "((1, 2, 'x', 'y'), {'e': 5, 'f': 6})",
        ),
        (lambda context, a, b, *rest, e, f: str((a, b, rest, e, f)), "(1, 2, ('x', 'y'), 5, 6)"),
        (
            lambda context, **names: str(names),
            "{'a': 1, 'b': 2, 'rest': ('x', 'y'), 'e': 5, 'f': 6}",
        ),
        (lambda context, *, e: str(e), "5"),
        (lambda context: context.task_run.name, "call"),
        (lambda context, inputs: str(inputs["b"]) + context.task_run.name[:4], "2call"),
    ],
    ids=["any", "named", "names", "one name", "context", "Prefect's"],
)
def test_a_key_function_gets_the_arguments_that_it_asks_for(
    function: Any, expected: str, storage: Any
) -> None:
    @task(cache_key_fn=function)
    def call(a: int, b: int = 2, *rest: str, e: int = 5, **more: int) -> None:
        RAN.append(a)

    call(1, 2, "x", "y", f=6)
    call(1, 2, "x", "y", f=6)
    assert RAN == [1]
    assert [entry.key for entry in list_entries(storage)] == [expected]


def test_defaults_and_names_are_bound_however_the_call_spells_them() -> None:
    @task(cache_key_fn=lambda context, *args: str(args))
    def call(a: int, b: int = 2) -> int:
        RAN.append((a, b))
        return a + b

    assert [call(1), call(1, 2), call(b=2, a=1), call(a=1)] == [3, 3, 3, 3]
    assert RAN == [(1, 2)]


def test_a_method_is_keyed_by_its_arguments_without_its_object() -> None:
    class Loader:
        @task(cache_key_fn=lambda context, *args: str(args))
        def load(self, number: int) -> int:
            RAN.append(number)
            return number

    assert [Loader().load(3), Loader().load(3)] == [3, 3]
    assert RAN == [3]


def test_the_old_task_input_hash_works_and_hits() -> None:
    @task(cache_key_fn=task_input_hash)
    def operate() -> int:
        RAN.append("ran")
        return 7

    assert [operate(), operate()] == [7, 7]
    assert RAN == ["ran"]


def test_a_key_function_that_raises_is_an_error_in_the_log_and_the_task_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken_key(context: Any, *args: Any) -> str:
        raise ValueError(f"no key for {args[0]}")

    @task(cache_key_fn=broken_key)
    def compute(number: int) -> int:
        RAN.append(number)
        return number

    assert [compute(1), compute(1)] == [1, 1]
    assert RAN == [1, 1]
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 2
    assert "Task 'compute' has no cache key" in errors[0]
    assert "broken_key" in errors[0]
    assert "ValueError: no key for 1" in errors[0]


def test_a_key_that_is_no_text_is_an_error_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    @task(cache_key_fn=lambda context, *args: 7)
    def compute() -> int:
        return 1

    assert compute() == 1
    assert "it returned a int" in caplog.text


@pytest.mark.parametrize("key", [None, ""])
def test_a_key_function_without_a_key_turns_caching_off_in_silence(
    key: str | None, caplog: pytest.LogCaptureFixture, storage: Any
) -> None:
    @task(cache_key_fn=lambda context, *args: key)
    def compute() -> None:
        RAN.append(1)

    compute()
    compute()
    assert RAN == [1, 1]
    assert list_entries(storage) == []
    assert "ERROR" not in [r.levelname for r in caplog.records]


def test_any_text_is_a_key_and_stays_below_the_storage(storage: Any) -> None:
    @task(cache_key_fn=lambda context, *args: args[0])
    def compute(key: str) -> str:
        RAN.append(key)
        return key

    keys = ["../../etc/passwd", "/a/b", "x" * 1000, "é\ud800", "a\nb"]
    assert [compute(key) for key in keys] == keys
    assert [compute(key) for key in keys] == keys
    assert keys == RAN
    assert {path.parent.name for path in storage.rglob("*.result")} == {"prefect-etl"}
