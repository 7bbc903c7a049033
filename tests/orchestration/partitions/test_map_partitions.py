from __future__ import annotations

import asyncio
import threading
import time

import pandas as pd
import prefect
import pytest

from prefect_etl.errors import ConfigError, PartitionsFailedError
from prefect_etl.orchestration.decorators import flow, task
from prefect_etl.orchestration.partitions import PartitionResult, PartitionResults, map_partitions

pytestmark = pytest.mark.usefixtures("prefect_server")


@task
def total(part: pd.DataFrame) -> int:
    return int(part["n"].sum())


@task
async def atotal(part: pd.DataFrame) -> int:
    await asyncio.sleep(0)
    return int(part["n"].sum())


@task
def odd_fails(number: int) -> int:
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number * 10


def frame(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows)})


def test_a_sync_flow_gets_the_results_in_order():
    @flow
    def whole(rows: int) -> list[int]:
        return map_partitions(total, frame(rows), partition_size=10).values()

    assert whole(95) == [sum(range(i, min(i + 10, 95))) for i in range(0, 95, 10)]


@pytest.mark.parametrize("mapped", [total, atotal], ids=["sync task", "async task"])
@pytest.mark.parametrize("decorator", [flow, prefect.flow], ids=["ours", "plain"])
def test_an_async_flow_awaits_the_results(mapped, decorator):
    @decorator
    async def whole(rows: int) -> list[int]:
        return (await map_partitions(mapped, frame(rows), partitions=7)).values()

    found = asyncio.run(whole(100))
    assert (len(found), sum(found)) == (7, sum(range(100)))


def test_a_plain_prefect_task_is_mapped_outside_of_flows_too():
    @prefect.task
    async def plain(part: pd.DataFrame) -> int:
        return len(part)

    assert map_partitions(plain, frame(10), partition_size=4).values() == [4, 4, 2]


def test_the_event_loop_goes_on_meanwhile():
    @task
    def slow(_: int) -> None:
        time.sleep(0.3)

    async def main() -> int:
        ticks = 0
        running = asyncio.ensure_future(waiting())
        while not running.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return ticks

    async def waiting() -> PartitionResults[None]:
        return await map_partitions(slow, [1, 2])

    assert asyncio.run(main()) > 10


def test_results_that_were_not_awaited_say_so():
    async def main() -> None:
        results = map_partitions(odd_fails, [2])
        with pytest.raises(ConfigError, match="await map_partitions"):
            len(results)
        assert "not awaited" in repr(results)
        assert (await results).values() == (await results).values() == [20]

    asyncio.run(main())


def test_each_partition_has_its_own_status():
    results = map_partitions(odd_fails, [2, 3, 4], min_success_ratio=0)
    assert [result.status for result in results] == ["completed", "failed", "completed"]
    assert [result.value for result in results] == [20, None, 40]
    assert str(results[1].error) == "3 is odd"
    assert [result.attempts for result in results] == [1, 1, 1]
    assert all(result.duration >= 0 for result in results)
    assert [result.index for result in results[1:]] == [1, 2]
    assert (len(results.completed), len(results.failed)) == (2, 1)
    with pytest.raises(PartitionsFailedError, match="1 of 3 partitions failed"):
        results.values()


def test_results_are_frozen():
    with pytest.raises(AttributeError):
        map_partitions(odd_fails, [2])[0].value = 1  # type: ignore[misc]


def test_too_few_successes_fail_and_name_the_first():
    with pytest.raises(PartitionsFailedError) as caught:
        map_partitions(odd_fails, range(10), min_success_ratio=0.6)
    text = str(caught.value)
    assert "5 of 10 partitions failed" in text
    assert "partition 1 (1): ValueError: 1 is odd" in text
    assert "and 2 more" in text
    results = caught.value.results
    assert isinstance(results, PartitionResults)
    assert [result.value for result in results.completed] == [0, 20, 40, 60, 80]


def test_enough_successes_are_enough():
    results = map_partitions(odd_fails, range(10), min_success_ratio=0.5)
    assert len(results.failed) == 5


def test_no_partitions_give_no_results():
    for nothing in ([], iter(()), frame(0)):
        assert map_partitions(odd_fails, nothing).values() == []


def test_a_failing_partition_leaves_the_others_to_work():
    seen = []

    @task
    def note(number: int) -> None:
        seen.append(number)
        if number == 0:
            raise ValueError

    with pytest.raises(PartitionsFailedError):
        map_partitions(note, range(50), max_concurrency=1)
    assert sorted(seen) == list(range(50))


def test_other_arguments_are_the_same_for_all_and_may_be_futures():
    @task
    def add(part: int, more: int, *, again: int = 0) -> int:
        return part + more + again

    @flow
    async def whole() -> list[int]:
        ten = add.submit(4, 6)
        results = await map_partitions(add, [1, 2], arguments={"more": ten, "again": 100})
        return results.values()

    assert asyncio.run(whole()) == [111, 112]


def test_data_may_be_a_future():
    @task
    def numbers() -> list[int]:
        return [2, 4]

    @flow
    async def whole() -> list[int]:
        return (await map_partitions(odd_fails, numbers.submit())).values()

    assert asyncio.run(whole()) == [20, 40]


class Gauge:
    """How many are at work at once; full once as many as wanted have been."""

    def __init__(self, wanted: int) -> None:
        self.now = self.most = 0
        self.wanted, self.full = wanted, threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if self.now >= self.wanted:
            self.full.set()

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now -= 1


@pytest.mark.parametrize("count", [5, 40])
def test_no_more_than_max_concurrency_are_in_flight(count):
    gauges = [Gauge(3) for _ in range(3)]

    @task
    def slow(_: int, gauge: int) -> None:
        with gauges[gauge]:
            gauges[gauge].full.wait(20)

    @task
    async def aslow(_: int, gauge: int) -> None:
        with gauges[gauge]:
            await asyncio.to_thread(gauges[gauge].full.wait, 20)

    map_partitions(slow, range(count), max_concurrency=3, arguments={"gauge": 0})
    map_partitions(aslow, range(count), max_concurrency=3, arguments={"gauge": 1})
    map_partitions(slow, iter(range(count)), max_concurrency=3, arguments={"gauge": 2})
    assert [gauge.most for gauge in gauges] == [3, 3, 3]


def test_few_slow_partitions_of_an_async_task_all_run_at_once():
    gauge = Gauge(8)

    @task
    async def wait(_: int) -> None:
        with gauge:
            while not gauge.full.is_set():  # noqa: ASYNC110 - other loops set it
                await asyncio.sleep(0.01)

    map_partitions(wait, range(8), max_concurrency=100)
    assert gauge.most == 8


def test_a_generator_is_pulled_as_it_is_worked_on():
    pulled, done, ahead = 0, 0, 0

    def numbers():
        nonlocal pulled, ahead
        for number in range(200):
            pulled += 1
            ahead = max(ahead, pulled - done)
            yield number

    @task
    def slow(_: int) -> None:
        nonlocal done
        time.sleep(0.005)
        done += 1

    assert len(map_partitions(slow, numbers(), max_concurrency=1)) == 200
    assert ahead < 150


def test_an_error_of_the_generator_is_raised():
    def broken():
        yield 2
        raise RuntimeError("the page is gone")

    with pytest.raises(RuntimeError, match="the page is gone"):
        map_partitions(odd_fails, broken())


def test_maps_may_be_nested():
    @task
    def outer(number: int) -> int:
        return sum(map_partitions(odd_fails, [number, number + 2]).values())

    @flow
    async def whole() -> list[int]:
        return (await map_partitions(outer, [0, 4])).values()

    assert asyncio.run(whole()) == [20, 100]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"partition_size": 1, "partitions": 2}, "one of partition_size, partitions"),
        ({"partition_size": 0}, "partition_size should be a whole number from 1, not 0"),
        ({"partitions": True}, "partitions should be a whole number"),
        ({"partition_bytes": 1.5}, "partition_bytes should be"),
        ({"max_concurrency": -1}, "max_concurrency should be"),
        ({"min_success_ratio": 1.1}, "min_success_ratio should be a number from 0 to 1"),
        ({"by": []}, "by should name a column"),
        ({"record": True}, "record should be a name"),
        ({"record": "../up"}, "record should be a name"),
        ({"arguments": {"colour": 1}}, "cannot be called"),
        ({"partitionsize": 1}, "no option partitionsize; did you mean partition_size"),
    ],
)
def test_wrong_options_are_refused_with_their_names(options, what):
    with pytest.raises(ConfigError, match=what):
        map_partitions(total, frame(3), **options)


def test_all_faults_are_said_at_once():
    with pytest.raises(ConfigError) as caught:
        map_partitions(total, frame(3), partition_size=0, min_success_ratio=2)
    assert "partition_size" in str(caught.value)
    assert "min_success_ratio" in str(caught.value)


def test_what_is_no_task_or_a_generator_is_refused():
    @task
    def pages(_: int):
        yield 1

    with pytest.raises(ConfigError, match="Put @task above"):
        map_partitions(len, [1])  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="generator"):
        map_partitions(pages, [1])


def test_a_result_names_its_partition():
    assert PartitionResult(3, None, "completed").name == "partition 3"
