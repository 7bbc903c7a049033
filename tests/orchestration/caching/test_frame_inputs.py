"""The policy whose keys are contents."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import prefect
import pyarrow as pa
import pytest
from prefect.cache_policies import INPUTS, NO_CACHE, RUN_ID, TASK_SOURCE

from prefect_etl import flow, task
from prefect_etl.orchestration.caching.entries import list_entries
from prefect_etl.orchestration.caching.frame_inputs import FrameInputs

pytestmark = pytest.mark.usefixtures("storage")
RAN: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@task(cache_policy=FrameInputs())
def double(frame: Any, label: str = "x") -> Any:
    RAN.append(label)
    return frame


def test_equal_frames_hit_and_different_ones_do_not() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    double(frame)
    pd.testing.assert_frame_equal(double(frame.copy()), frame)
    double(frame, "x")
    assert RAN == ["x"]
    double(frame.iloc[::-1])
    double(frame.rename(columns={"a": "c"}))
    double(frame, "y")
    assert len(RAN) == 4


def test_frames_of_every_library_are_keys_and_results() -> None:
    data = {"a": [1, 2], "b": ["x", "y"]}
    for frame in [pd.DataFrame(data), pl.DataFrame(data), pa.table(data), pl.LazyFrame(data)]:
        first, second = double(frame), double(frame)
        assert type(first) is type(second) is type(frame)
    assert len(RAN) == 4


def test_chunks_and_slices_do_not_matter() -> None:
    table = pa.table({"a": range(10)})
    double(table.slice(2, 4))
    double(pa.table({"a": pa.chunked_array([[2, 3], [4, 5]], pa.int64())}))
    assert len(RAN) == 1


def test_two_tasks_with_equal_arguments_have_different_keys() -> None:
    @task(cache_policy=FrameInputs())
    def one(number: int) -> str:
        return "one"

    @task(cache_policy=FrameInputs())
    def other(number: int) -> str:
        return "other"

    assert (one(1), other(1), one(1)) == ("one", "other", "one")


def test_tasks_of_one_factory_differ_by_the_constants_around_them() -> None:
    def make(factor: int) -> Any:
        @task(cache_policy=FrameInputs())
        def times(number: int) -> int:
            return factor * number

        return times

    assert (make(2)(10), make(3)(10), make(2)(10)) == (20, 30, 20)


def test_state_around_a_task_does_not_change_its_key() -> None:
    ran, count = [], 0

    @task(cache_policy=FrameInputs())
    def compute(number: int) -> int:
        nonlocal count
        count += 1
        ran.append(number)
        return number

    assert (compute(1), compute(1)) == (1, 1)
    assert (ran, count) == ([1], 1)


def test_changed_code_is_another_key_and_a_changed_comment_is_not() -> None:
    def made(source: str) -> Any:
        names: dict[str, Any] = {"__name__": "made"}
        exec(source, names)
        return names["compute"]

    decorate = task(cache_policy=FrameInputs())
    assert decorate(made("def compute(n): return n + 1"))(1) == 2
    assert decorate(made("def compute(n): return n + 2"))(1) == 3
    again = decorate(made("# why\ndef compute(n):\n    return n + 2"))(1, return_state=True)
    assert (again.name, again.result()) == ("Cached", 3)


def test_a_wrapped_function_is_known_by_what_it_wraps() -> None:
    def logged(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def call(*args: Any, **kwargs: Any) -> Any:
            return fn(*args, **kwargs)

        return call

    decorate = task(cache_policy=FrameInputs())
    first = decorate(logged(lambda number: 1))
    second = decorate(logged(lambda number: 2))
    assert (first(0), second(0), first(0)) == (1, 2, 1)


def test_types_of_plain_arguments_matter() -> None:
    for value in [1, 1.0, True, "1", {1: "a"}, {"1": "a"}, (1,), [1], None]:
        double(value)
    assert len(RAN) == 9


@pytest.mark.parametrize(
    "policy",
    [
        FrameInputs() - "label",
        FrameInputs() + TASK_SOURCE - "label",
        FrameInputs() - "label" + TASK_SOURCE,
        TASK_SOURCE + (FrameInputs() - "label"),
        (FrameInputs() + TASK_SOURCE).configure(isolation_level="READ_COMMITTED") - "label",
    ],
)
def test_an_argument_can_be_taken_out(policy: Any) -> None:
    changed = double.with_options(cache_policy=policy)
    changed(1, "a")
    changed(1, "b")
    changed(2, "c")
    assert RAN == ["a", "c"]


def test_adding_the_run_makes_a_key_of_one_run() -> None:
    @flow
    def twice() -> None:
        run = double.with_options(cache_policy=FrameInputs() + RUN_ID)
        run(1)
        run(1)

    twice()
    twice()
    assert len(RAN) == 2


def test_what_has_no_content_is_named_in_an_error_and_the_task_runs(
    caplog: pytest.LogCaptureFixture,
) -> None:
    double(object(), "o")
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert RAN == ["o"]
    assert len(errors) == 1
    assert "Task 'double' has no cache key" in errors[0]
    assert "argument 'frame'" in errors[0]
    assert "FrameInputs() - 'frame'" in errors[0]


def test_a_plain_task_of_prefect_takes_the_policy_as_well() -> None:
    @prefect.task(cache_policy=FrameInputs())
    def plain(frame: Any) -> int:
        RAN.append("plain")
        return len(frame)

    @prefect.flow
    def run() -> None:
        plain(pd.DataFrame({"a": [1]}))
        plain(pd.DataFrame({"a": [1]}))

    run()
    assert RAN == ["plain"]


class Unhashed:
    def __reduce__(self) -> Any:
        raise AssertionError("it was hashed")


@pytest.mark.parametrize(
    "options", [{}, {"persist_result": False}, {"cache_policy": NO_CACHE}], ids=str
)
def test_a_task_that_keeps_nothing_hashes_nothing(
    options: Any, storage: Any, caplog: pytest.LogCaptureFixture
) -> None:
    @task(**options)
    def use(value: Any) -> None:
        RAN.append(value)

    use(Unhashed())
    assert len(RAN) == 1
    assert list_entries(storage) == []
    assert "ERROR" not in [r.levelname for r in caplog.records]


def test_a_persisted_result_without_a_policy_is_kept_for_its_run_by_content(storage: Any) -> None:
    @task(persist_result=True)
    def compute(frame: Any) -> Any:
        RAN.append(len(frame))
        return frame

    @flow
    def twice() -> None:
        compute(pd.DataFrame({"a": np.arange(3)}))
        compute(pd.DataFrame({"a": np.arange(3)}))

    twice()
    assert RAN == [3]
    twice()
    assert RAN == [3, 3]
    assert [entry.kind for entry in list_entries(storage)] == ["pandas.DataFrame"] * 2


def test_persistence_that_the_flow_asks_for_is_ours_too(storage: Any) -> None:
    @task
    def compute(frame: Any) -> Any:
        return frame

    @flow(persist_result=True)
    def run() -> int:
        return len(compute(pd.DataFrame({"a": [1]})))

    assert run() == 1
    assert [entry.task for entry in list_entries(storage)] == ["compute"]


def test_prefects_own_policies_stay_what_they_are(storage: Any) -> None:
    changed = double.with_options(cache_policy=INPUTS)
    changed(1)
    changed(1)
    assert RAN == ["x"]
    assert [entry.kind for entry in list_entries(storage)] == ["int"]
