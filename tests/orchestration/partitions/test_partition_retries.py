from __future__ import annotations

import asyncio
import time
from collections import Counter

import prefect
import pytest

from prefect_etl.core.retry import RetryPolicy
from prefect_etl.errors import DataError, Fatal, PartitionsFailedError
from prefect_etl.orchestration.decorators import task
from prefect_etl.orchestration.partitions import map_partitions
from prefect_etl.testing.retries import instant_retries

pytestmark = pytest.mark.usefixtures("prefect_server")


class Flaky:
    """Fails so many times for each partition, then gives it back."""

    def __init__(self, failures: int, error: type[Exception] = ValueError) -> None:
        self.failures, self.error = failures, error
        self.calls: Counter[int] = Counter()
        self.times: list[float] = []

    def __call__(self, number: int) -> int:
        self.calls[number] += 1
        self.times.append(time.monotonic())
        if self.calls[number] <= self.failures:
            raise self.error(f"{number} failed")
        return number


@pytest.mark.parametrize("decorator", [task, prefect.task], ids=["ours", "plain"])
@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_the_tasks_retries_are_each_partitions(decorator, isasync):
    flaky = Flaky(2)

    @decorator(retries=2)
    def plain(number: int) -> int:
        return flaky(number)

    @decorator(retries=2)
    async def coroutine(number: int) -> int:
        return flaky(number)

    results = map_partitions(coroutine if isasync else plain, range(20))
    assert results.values() == list(range(20))
    assert {result.attempts for result in results} == {3}
    assert set(flaky.calls.values()) == {3}


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_only_what_failed_is_called_again(isasync):
    calls: Counter[int] = Counter()

    def work(number: int) -> int:
        calls[number] += 1
        if number == 3 and calls[3] < 3:
            raise ValueError
        return number

    @task(retries=5)
    def plain(number: int) -> int:
        return work(number)

    @task(retries=5)
    async def coroutine(number: int) -> int:
        return work(number)

    map_partitions(coroutine if isasync else plain, range(10))
    assert calls == Counter({number: 3 if number == 3 else 1 for number in range(10)})


def test_retries_that_are_used_up_leave_the_last_error():
    flaky = Flaky(99)

    @task(retries=1)
    def work(number: int) -> int:
        return flaky(number)

    (result,) = map_partitions(work, [7], min_success_ratio=0)
    assert (result.status, result.attempts, str(result.error)) == ("failed", 2, "7 failed")


class LostFileError(DataError):
    """A user's own."""


@pytest.mark.parametrize("error", [Fatal, DataError, LostFileError])
@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_fatal_and_data_errors_are_never_retried(error, isasync):
    flaky = Flaky(1, error)

    @task(retries=3)
    def plain(number: int) -> int:
        return flaky(number)

    @task(retries=3)
    async def coroutine(number: int) -> int:
        return flaky(number)

    results = map_partitions(coroutine if isasync else plain, range(3), min_success_ratio=0)
    assert [result.attempts for result in results] == [1, 1, 1]
    assert set(flaky.calls.values()) == {1}


def test_delays_are_waited_for_and_the_last_one_repeats():
    flaky = Flaky(3)

    @task(retries=3, retry_delay_seconds=[0.01, 0.2])
    def work(number: int) -> int:
        return flaky(number)

    (result,) = map_partitions(work, [1])
    gaps = [b - a for a, b in zip(flaky.times, flaky.times[1:], strict=False)]
    assert gaps[0] >= 0.01
    assert min(gaps[1:]) >= 0.2
    assert result.duration >= 0.41


def test_one_delay_and_jitter_are_waited_for():
    flaky = Flaky(1)

    @task(retries=1, retry_delay_seconds=0.1, retry_jitter_factor=0.5)
    async def work(number: int) -> int:
        return flaky(number)

    map_partitions(work, [1])
    assert flaky.times[1] - flaky.times[0] >= 0.04


def test_waiting_coroutines_do_not_hold_up_the_others():
    flaky = Flaky(1)
    finished: list[int] = []

    @task(retries=1, retry_delay_seconds=1)
    async def work(number: int) -> int:
        if number == 0:
            flaky(0)
        finished.append(number)
        return number

    map_partitions(work, range(4), max_concurrency=2)
    assert finished[-1] == 0


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_a_retry_condition_is_asked_as_prefect_asks_it(isasync):
    flaky, asked = Flaky(9), []

    def condition(asked_task, task_run, state):
        asked.append((asked_task.name, task_run.name, state.is_failed(), str(state.data)))
        return len(asked) < 2

    async def acondition(asked_task, task_run, state):
        return condition(asked_task, task_run, state)

    @task(retries=9, retry_condition_fn=acondition if isasync else condition)
    def plain(number: int) -> int:
        return flaky(number)

    @task(retries=9, retry_condition_fn=acondition if isasync else condition)
    async def coroutine(number: int) -> int:
        return flaky(number)

    (result,) = map_partitions(coroutine if isasync else plain, [5], min_success_ratio=0)
    assert result.attempts == 2
    name = "coroutine" if isasync else "plain"
    assert asked == [(name, f"{name} 0-0", True, "5 failed")] * 2


def test_a_retry_condition_that_fails_is_said_and_means_no(caplog):
    def condition(*_: object) -> bool:
        raise KeyError("oops")

    @task(retries=9, retry_condition_fn=condition)
    def work(_: int) -> None:
        raise ValueError

    (result,) = map_partitions(work, [5], min_success_ratio=0)
    assert result.attempts == 1
    assert "retry_condition_fn" in caplog.text


def test_a_failure_does_not_hold_its_partition():
    import weakref

    class Heavy:
        pass

    alive: list[weakref.ref[Heavy]] = []

    @task
    def work(_: int) -> None:
        heavy = Heavy()
        alive.append(weakref.ref(heavy))
        raise ValueError(str(id(heavy)))

    results = map_partitions(work, range(5), min_success_ratio=0)
    assert [ref() for ref in alive] == [None] * 5
    trace = results[0].error.__traceback__
    assert trace is not None
    assert trace.tb_frame.f_code.co_name == "work"


def test_a_failed_state_that_a_task_returns_is_a_failure():
    from prefect.states import Completed, Failed

    @task
    def work(number: int) -> object:
        return Completed(data=number) if number else Failed(message="no")

    results = map_partitions(work, [0, 1], min_success_ratio=0)
    assert [result.status for result in results] == ["failed", "completed"]
    assert results[1].value == 1


def test_a_timeout_error_of_a_partition_is_its_own():
    @task
    async def work(number: int) -> int:
        if number == 1:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(9)
        return number

    with pytest.raises(PartitionsFailedError, match="1 of 3 partitions failed"):
        map_partitions(work, range(3))


@pytest.mark.parametrize("isasync", [False, True], ids=["sync", "async"])
def test_a_retry_policy_is_each_partitions(isasync):
    flaky = Flaky(2)
    policy = RetryPolicy(max_attempts=3, initial=0.01, give_up_on=KeyError)

    def work(number: int) -> int:
        if number == 1:
            raise KeyError(number)
        return flaky(number)

    @task(retry=policy)
    def plain(number: int) -> int:
        return work(number)

    @task(retry=policy)
    async def coroutine(number: int) -> int:
        return work(number)

    results = map_partitions(coroutine if isasync else plain, range(4), min_success_ratio=0.5)
    assert [result.attempts for result in results] == [3, 1, 3, 3]


def test_a_policys_deadline_begins_with_each_partition():
    flaky = Flaky(1)

    @task(retry=RetryPolicy(max_attempts=2, initial=0, deadline=1))
    def work(number: int) -> int:
        time.sleep(0.3)
        return flaky(number)

    results = map_partitions(work, range(5), max_concurrency=1)
    assert [result.attempts for result in results] == [2] * 5


def test_tests_need_not_wait():
    flaky = Flaky(2)

    @task(retries=2, retry_delay_seconds=[600, 600])
    def work(number: int) -> int:
        return flaky(number)

    with instant_retries():
        assert map_partitions(work, [1, 2]).values() == [1, 2]


def test_time_that_tests_skip_is_each_partitions():
    flaky = Flaky(1)

    @task(retry=RetryPolicy(max_attempts=2, initial=5, jitter=0, deadline=6))
    def work(number: int) -> int:
        return flaky(number)

    with instant_retries():
        assert len(map_partitions(work, range(12), max_concurrency=1).values()) == 12
