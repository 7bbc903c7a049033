"""What is tried again, how often, and after how long, in real runs."""
# ruff: noqa: PLW0108 - a flow and a task are made of functions

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from functools import partial
from threading import Thread
from typing import Any

import httpx
import prefect
import pytest
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException

from prefect_etl.core.retry import RetryPolicy, exponential_backoff
from prefect_etl.errors import BusyError, ConfigError, DataError, SchemaError, StorageError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions.mapping import map_partitions
from prefect_etl.orchestration.retries.conditions import is_worth_retrying
from prefect_etl.testing import instant_retries

pytestmark = pytest.mark.usefixtures("prefect_server")
HOUR = 3600


@pytest.fixture
def instant() -> Iterator[None]:
    with instant_retries():
        yield


class Attempts:
    """Raises what it is told, one error a call, then gives the number of calls."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


class OursError(PrefectException):
    """A user's own."""


def slow_down(seconds: float) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://example.invalid")
    headers = {"Retry-After": str(seconds)}
    response = httpx.Response(429, headers=headers, request=request)
    return httpx.HTTPStatusError("429", request=request, response=response)


def fails(call: Callable[..., Any]) -> bool:
    with pytest.raises(Exception):  # noqa: B017, PT011 - any
        call()
    return True


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("error", [OSError(), OursError("mine"), BusyError("held"), ValueError()])
def test_retries_are_obeyed(error: Exception) -> None:
    attempts = Attempts(error, error, error)
    act = task(retries=3, retry_delay_seconds=HOUR)(lambda: attempts())
    assert act() == 4


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize(
    "error",
    [
        DataError("null"),
        SchemaError("x"),
        StorageError("full"),
        ExceptionGroup("g", [DataError("x")]),
    ],
)
def test_what_would_only_come_again_is_not_tried_again(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = Attempts(error)
    act = task(retries=3)(lambda: attempts())
    assert fails(act)
    assert attempts.calls == 1
    said = [record for record in caplog.records if "Not tried again" in record.getMessage()]
    assert [record.exc_info is not None for record in said] == [True]


@pytest.mark.usefixtures("instant")
def test_a_plain_prefect_task_may_use_our_backoff_and_condition() -> None:
    attempts = Attempts(OSError(), DataError("null"))
    act = prefect.task(
        retries=3,
        retry_delay_seconds=exponential_backoff(backoff_factor=60),
        retry_jitter_factor=0.1,
        retry_condition_fn=is_worth_retrying,
    )(lambda: attempts())

    @prefect.flow
    def plain() -> bool:
        return fails(act)

    assert plain()
    assert attempts.calls == 2


@pytest.mark.usefixtures("instant")
def test_the_guides_options_are_compiled_to_prefects() -> None:
    delays = exponential_backoff(backoff_factor=60, max_delay=100)
    act = task(retries=3, retry_delay_seconds=delays, retry_jitter_factor=0.1)(lambda: 1)
    assert vars(act)["retry_delay_seconds"] == [60, 100, 100]
    assert act() == 1


class Never:
    def __call__(self, task: Any, task_run: Any, state: Any) -> bool:
        return False


class NeverAsync:
    async def __call__(self, task: Any, task_run: Any, state: Any) -> bool:
        return False


async def never_async(task: Any, task_run: Any, state: Any) -> bool:
    return False


def answer(value: bool, task: Any, task_run: Any, state: Any) -> bool:
    return value


CONDITIONS = [Never(), NeverAsync(), never_async, partial(answer, False), Never().__call__]


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("asks", CONDITIONS, ids=lambda asks: type(asks).__name__)
@pytest.mark.parametrize("is_async", [False, True])
def test_a_users_own_condition_may_be_any_callable(asks: Any, is_async: bool) -> None:
    attempts = Attempts(OSError())

    async def later() -> int:
        return attempts()

    act = task(retries=3, retry_condition_fn=asks)(later if is_async else lambda: attempts())
    assert fails(lambda: asyncio.run(awaited(act)) if is_async else act())
    assert attempts.calls == 1


async def awaited(act: Any) -> Any:
    return await act()


@pytest.mark.usefixtures("instant")
def test_a_users_condition_that_says_yes_does_not_bring_hopeless_errors_back() -> None:
    attempts = Attempts(OSError(), DataError("null"))
    act = task(retries=3, retry_condition_fn=partial(answer, True))(lambda: attempts())
    assert fails(act)
    assert attempts.calls == 2


@pytest.mark.usefixtures("instant")
def test_a_users_condition_that_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def wrong(task: Any, task_run: Any, state: Any) -> bool:
        raise KeyError("the condition is wrong")

    attempts = Attempts(OSError())
    assert fails(task(retries=3, retry_condition_fn=wrong)(lambda: attempts()))
    assert attempts.calls == 1
    assert "the condition is wrong" in caplog.text


@pytest.mark.usefixtures("instant")
def test_a_policy_makes_so_many_attempts_and_prefect_knows_them() -> None:
    attempts = Attempts(*[OSError() for _ in range(9)])
    act = task(retry=RetryPolicy(max_attempts=4, initial=HOUR))(lambda: attempts())
    state = act(return_state=True)
    assert attempts.calls == 4
    assert act.retries == 3
    with get_client(sync_client=True) as client:
        for _ in range(100):  # it is recorded from the run's events
            run = client.read_task_run(state.state_details.task_run_id)
            if run.state is not None and run.state.is_final():
                break
            time.sleep(0.1)
    assert run.run_count == 4


def kinds(attempts: Attempts) -> dict[str, Callable[[], Any]]:
    async def coroutine() -> int:
        return attempts()

    def generator() -> Generator[int, None, None]:
        yield attempts()

    async def async_generator() -> AsyncGenerator[int, None]:
        yield attempts()

    return {
        "sync": lambda: attempts(),
        "async": coroutine,
        "generator": generator,
        "async generator": async_generator,
    }


async def collected(act: Any) -> list[int]:
    return [item async for item in act()]


CALLS: dict[str, Callable[[Any], Any]] = {
    "sync": lambda act: act(),
    "async": lambda act: asyncio.run(awaited(act)),
    "generator": lambda act: list(act())[-1],
    "async generator": lambda act: asyncio.run(collected(act))[-1],
}


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("kind", CALLS)
def test_a_policy_works_for_every_kind_of_task(kind: str) -> None:
    attempts = Attempts(OSError(), slow_down(HOUR))
    fn = kinds(attempts)[kind]
    act = task(retry=RetryPolicy(max_attempts=3, per_error={OSError: 60}))(fn)
    assert act.fn is fn
    assert (act.isasync, act.isgenerator) == ("async" in kind, "generator" in kind)
    assert CALLS[kind](act) == 3


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_what_an_error_asks_for_is_waited(kind: str) -> None:
    attempts = Attempts(slow_down(1))
    act = task(retry=RetryPolicy(max_attempts=2, initial=0.1, jitter=0))(kinds(attempts)[kind])
    began = time.monotonic()
    assert CALLS[kind](act) == 2
    assert time.monotonic() - began >= 1


def test_what_prefect_waits_is_not_waited_twice(caplog: pytest.LogCaptureFixture) -> None:
    attempts = Attempts(OSError())
    act = task(retry=RetryPolicy(max_attempts=2, initial=0.5, jitter=0))(lambda: attempts())
    assert act() == 2
    assert "will start 0.5 second(s) from now" in caplog.text
    assert "the next one begins" not in caplog.text


def test_an_async_task_that_waits_does_not_stop_the_event_loop() -> None:
    attempts = Attempts(slow_down(1))

    @task(retry=RetryPolicy(max_attempts=2, initial=0))
    async def fetch() -> int:
        return attempts()

    async def main() -> int:
        ticks = 0
        running = asyncio.ensure_future(fetch())
        while not running.done():
            await asyncio.sleep(0.01)
            ticks += attempts.calls == 1
        assert running.result() == 2
        return ticks

    assert asyncio.run(main()) > 3


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_wait_is_no_part_of_an_attempts_timeout(kind: str) -> None:
    attempts = Attempts(slow_down(2.5))
    policy = RetryPolicy(max_attempts=2, initial=0, jitter=0)
    act = task(retry=policy, timeout_seconds=2)(kinds(attempts)[kind])
    assert CALLS[kind](act) == 2


def test_a_timeout_is_an_error_to_retry() -> None:
    calls = []

    @task(retry=RetryPolicy(max_attempts=2, initial=0), timeout_seconds=1)
    async def slow() -> int:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.sleep(HOUR)
        return len(calls)

    assert asyncio.run(awaited(slow)) == 2


def test_no_attempt_begins_after_the_deadline() -> None:
    attempts = Attempts(slow_down(HOUR))
    act = task(retry=RetryPolicy(max_attempts=9, deadline=60))(lambda: attempts())
    assert fails(act)
    assert attempts.calls == 1


@pytest.mark.usefixtures("instant")
def test_a_deadline_counts_the_time_that_a_test_does_not_wait() -> None:
    attempts = Attempts(*[OSError() for _ in range(9)])
    policy = RetryPolicy(max_attempts=9, initial=40, multiplier=1, jitter=0, deadline=100)
    assert fails(task(retry=policy)(lambda: attempts()))
    assert attempts.calls == 3


@pytest.mark.usefixtures("instant")
def test_a_policy_survives_with_options_and_gives_way_to_another() -> None:
    attempts = Attempts(*[OSError() for _ in range(9)])
    act = task(retry=RetryPolicy(max_attempts=2, initial=HOUR))(lambda: attempts())
    assert fails(act.with_options(name="renamed"))
    assert attempts.calls == 2
    asks = partial(answer, True)
    assert fails(act.with_options(retry_condition_fn=asks).with_options(retry=RetryPolicy(4)))
    assert attempts.calls == 6
    assert fails(task(retries=7)(lambda: attempts()).with_options(retry=RetryPolicy(1)))
    assert attempts.calls == 7
    refuses = task(retry_condition_fn=Never())(lambda: attempts())
    assert fails(refuses.with_options(retry=RetryPolicy(4)))
    assert attempts.calls == 8


@pytest.mark.parametrize(
    "beside", [{"retries": 2}, {"retry_delay_seconds": 1}, {"retry_jitter_factor": 0.1}]
)
def test_a_policy_beside_prefects_own_options_is_refused(beside: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="both say how to retry"):
        task(retry=RetryPolicy(), **beside)(lambda: 1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="both say how to retry"):
        task(retry=RetryPolicy())(lambda: 1).with_options(**beside)
    with pytest.raises(ConfigError, match="no RetryPolicy"):
        task(retry=3)(lambda: 1)  # type: ignore[call-overload]


def test_a_policy_travels_to_another_process() -> None:
    import cloudpickle

    act = task(retry=RetryPolicy(max_attempts=3), retry_condition_fn=Never())(lambda: 1)
    copy = cloudpickle.loads(cloudpickle.dumps(act))
    assert copy.retry == act.retry
    assert copy.retry_condition_fn(copy, None, prefect.states.Failed(data=OSError())) is False


@pytest.mark.usefixtures("instant")
def test_a_failed_state_that_a_task_returns_is_tried_again() -> None:
    calls = []

    @task(retry=RetryPolicy(max_attempts=3, initial=HOUR))
    def act() -> Any:
        calls.append(1)
        return prefect.states.Failed(message="not yet") if len(calls) < 3 else 7

    assert act() == 7


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("kind", CALLS)
def test_a_flow_is_not_run_again_after_a_hopeless_error(kind: str) -> None:
    attempts = Attempts(OSError(), DataError("null"))
    act = flow(name=kind, retries=5, retry_delay_seconds=HOUR)(kinds(attempts)[kind])
    assert fails(lambda: CALLS[kind](act))
    assert attempts.calls == 2


@pytest.mark.usefixtures("instant")
def test_a_flow_takes_attempts_and_one_delay_from_a_policy() -> None:
    attempts = Attempts(OSError(), OSError())

    @flow(retry=RetryPolicy(max_attempts=3, initial=HOUR))
    async def fetch() -> int:
        return attempts()

    assert asyncio.run(awaited(fetch)) == 3
    again = fetch.with_options(retry=RetryPolicy(max_attempts=2, initial=5))
    assert (again.retries, float(vars(again)["retry_delay_seconds"])) == (1, 5)


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        (RetryPolicy(multiplier=3), "multiplier"),
        (RetryPolicy(jitter=0.2), "jitter"),
        (RetryPolicy(deadline=60, retry_on=OSError), "retry_on, deadline"),
        (RetryPolicy(give_up_on=OSError), "give_up_on"),
        (RetryPolicy(per_error={OSError: 3}), "per_error"),
        (RetryPolicy(initial=0.5), "whole seconds"),
    ],
)
def test_a_flow_refuses_a_policy_that_it_cannot_keep(policy: RetryPolicy, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        flow(retry=policy)(lambda: 1)


def test_a_flow_called_as_a_function_leaves_the_flow_around_it_alone() -> None:
    attempts = Attempts(DataError("null"))
    inner = flow(name="inner", retries=3)(lambda: attempts())

    @flow(retries=1)
    async def outer() -> int:
        try:
            return int(inner.fn())
        except DataError:
            raise OSError from None

    with instant_retries():
        assert asyncio.run(awaited(outer)) == 2


@pytest.mark.usefixtures("instant")
@pytest.mark.parametrize("is_async", [False, True])
def test_a_policy_holds_for_each_partition(is_async: bool) -> None:
    calls: dict[int, int] = {}

    def fetch(part: list[int]) -> int:
        calls[part[0]] = calls.get(part[0], 0) + 1
        if calls[part[0]] <= part[0]:
            raise slow_down(HOUR) if part[0] < 3 else ValueError
        return calls[part[0]]

    async def afetch(part: list[int]) -> int:
        return fetch(part)

    policy = RetryPolicy(max_attempts=3, initial=HOUR, give_up_on=ValueError)
    act = task(retry=policy)(afetch if is_async else fetch)

    @flow
    def run() -> list[int]:
        results = map_partitions(act, [0, 1, 2, 3], partition_size=1, min_success_ratio=0)
        return [result.attempts for result in results]

    assert run() == [1, 2, 3, 1]


@pytest.mark.usefixtures("instant")
def test_validate_parameters_and_version_are_prefects() -> None:
    @flow(validate_parameters=True, version="1.0.0")
    async def checked(number: int) -> int:
        return number

    @flow(validate_parameters=False)
    async def unchecked(number: int) -> int:
        return number

    async def main() -> tuple[Any, ...]:
        with pytest.raises(prefect.exceptions.ParameterTypeError):
            await checked("many")  # type: ignore[arg-type]
        state = await checked("3", return_state=True)
        return await state.result(), state, await unchecked("many")  # type: ignore[arg-type]

    number, state, same = asyncio.run(main())
    assert (number, same) == (3, "many")
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(state.state_details.flow_run_id)
    assert run.flow_version == "1.0.0"


def test_instant_retries_restores_prefect_when_the_last_context_closes() -> None:
    plain = prefect.task(retries=2, retry_delay_seconds=[HOUR, HOUR])(lambda: 1)
    calm = prefect.flow(retries=2, retry_delay_seconds=HOUR)(lambda: 1)
    with instant_retries():
        with instant_retries():
            assert not plain.retry_delay_seconds
        assert not plain.retry_delay_seconds
        assert not calm.retry_delay_seconds
        copies = [plain.with_options(name="copy"), calm.with_options(name="copy")]
    delays = [thing.retry_delay_seconds for thing in (plain, calm, *copies)]
    assert delays == [[HOUR, HOUR], HOUR, [HOUR, HOUR], HOUR]


def test_instant_retries_holds_in_all_threads_until_the_last_closes() -> None:
    attempts = Attempts(OSError())
    act = prefect.task(retries=1, retry_delay_seconds=HOUR)(lambda: attempts())
    found: list[int] = []
    with instant_retries():
        thread = Thread(target=lambda: found.append(act()))
        thread.start()
        thread.join()
    assert found == [2]
    assert "retry_delay_seconds" not in vars(prefect.Task)


def test_instant_retries_ends_with_an_error() -> None:
    with pytest.raises(KeyError), instant_retries():
        raise KeyError
    assert "retry_delay_seconds" not in vars(prefect.Flow)


@pytest.fixture(autouse=True)
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    # Prefect's loggers do not propagate once its own handlers are set up.
    names = ["prefect.task_runs", "prefect.flow_runs", "prefect"]
    before = {name: logging.getLogger(name).propagate for name in names}
    for name in names:
        logging.getLogger(name).propagate = True
    caplog.set_level(logging.INFO)
    yield
    for name, propagate in before.items():
        logging.getLogger(name).propagate = propagate
