from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import cloudpickle
import prefect
import pytest
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

import prefect_etl
from prefect_etl.errors import BusyError, ConfigError
from prefect_etl.orchestration.resources import shared
from prefect_etl.orchestration.server import ServerInfo
from prefect_etl.utils.database import DatabaseConnection
from prefect_etl.utils.resources import ResourceManager, resource

pytestmark = pytest.mark.usefixtures("prefect_server")
FLAVOURS = pytest.mark.parametrize("flow", [prefect.flow, prefect_etl.flow], ids=["plain", "ours"])


class Told(ResourceManager[str]):
    """Writes down what happens, and refuses to be closed while it is used."""

    def __init__(self, told: list[str], name: str = "a", fails: bool = False) -> None:
        self.told = told
        self.name = name
        self.fails = fails

    def setup(self) -> Any:
        self.told.append(f"open {self.name}")
        return self.name

    def cleanup(self) -> Any:
        self.told.append(f"close {self.name}")
        if self.fails:
            raise OSError(f"{self.name} will not close")


class AsyncTold(Told):
    async def setup(self) -> str:
        await asyncio.sleep(0)
        self.loop_of_setup = asyncio.get_running_loop()
        return str(super().setup())

    async def cleanup(self) -> None:
        await asyncio.to_thread(time.sleep, 0)
        assert asyncio.get_running_loop() is self.loop_of_setup
        super().cleanup()


BOTH = pytest.mark.parametrize("kind", [Told, AsyncTold])


@BOTH
@FLAVOURS
def test_the_tasks_of_a_flow_run_share_one_that_closes_after_the_last(flow: Any, kind: Any) -> None:
    told: list[str] = []
    share = shared(kind(told))

    @prefect.task
    def use(number: int) -> None:
        with share as value:
            assert value == "a"
            told.append("use")

    @prefect.task
    async def ause(number: int) -> None:
        async with share as value:
            assert value == "a"
            told.append("use")

    @flow
    def run() -> None:
        assert told == []  # the first task opens it
        futures = [*use.map(range(3)), *ause.map(range(3))]
        prefect.futures.wait(futures)
        use(4)

    run()
    assert told == ["open a", *["use"] * 7, "close a"]
    told.clear()
    run()  # each run has its own
    assert told == ["open a", *["use"] * 7, "close a"]


@BOTH
@FLAVOURS
@pytest.mark.anyio
async def test_an_async_flow_shares_too(flow: Any, kind: Any) -> None:
    told: list[str] = []
    share = shared(kind(told))

    @prefect.task
    async def use(number: int) -> None:
        async with share:
            await asyncio.sleep(0.01)
            told.append("use")

    @flow
    async def run() -> None:
        await asyncio.gather(*[use(number) for number in range(3)])
        prefect.futures.wait(use.map(range(3)))

    await run()
    assert told == ["open a", *["use"] * 6, "close a"]


def test_it_stays_open_until_tasks_that_nobody_waits_for_are_done() -> None:
    told: list[str] = []
    share = shared(Told(told))
    entered = threading.Event()

    @prefect.task
    def use() -> None:
        with share:
            entered.set()
            time.sleep(0.3)
            told.append("used")

    @prefect.flow
    def run() -> None:
        use.submit()
        entered.wait()

    run()
    assert told == ["open a", "used", "close a"]


def test_of_several_the_last_opened_is_closed_first() -> None:
    told: list[str] = []
    first, second, third = (shared(Told(told, name)) for name in "abc")

    @prefect.task
    def use() -> None:
        with second, first, third:
            pass

    @prefect.flow
    def run() -> None:
        use()

    run()
    assert told == ["open b", "open a", "open c", "close c", "close a", "close b"]


@BOTH
def test_one_that_needs_another_is_closed_before_it(kind: Any) -> None:
    told: list[str] = []
    base = shared(kind(told, "base"))

    class Above(Told):
        def setup(self) -> str:
            with base:
                return str(super().setup())

        def cleanup(self) -> None:
            with base:
                super().cleanup()

    above = shared(Above(told, "above"))

    @prefect.flow
    def run() -> None:
        with above:
            pass

    run()
    assert told == ["open base", "open above", "close above", "close base"]


@BOTH
@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_than_the_limit_are_open_and_each_has_one_user(kind: Any, limit: int) -> None:
    told: list[str] = []
    numbers = iter(range(100))
    share = shared(lambda: kind(told, str(next(numbers))), limit=limit)
    using: list[str] = []

    def check(value: str) -> None:
        assert value not in using
        using.append(value)
        time.sleep(0.02)
        using.remove(value)

    @prefect.task
    def use(number: int) -> None:
        with share as value:
            check(value)

    @prefect.task
    async def ause(number: int) -> None:
        async with share as value:
            check(value)

    @prefect.flow
    def run() -> None:
        prefect.futures.wait([*use.map(range(8)), *ause.map(range(8))])
        assert all(f.state.is_completed() for f in [*use.map([1]), *ause.map([1])] if f.wait() or 1)

    run()
    assert 1 <= sum(line.startswith("open") for line in told) <= limit
    assert sum(line.startswith("open") for line in told) == sum(
        line.startswith("close") for line in told
    )


def test_a_task_that_waits_too_long_for_a_free_one_is_busy() -> None:
    share = shared(Told([]), limit=1, wait=0.05)

    @prefect.flow
    async def run() -> None:
        async with share:
            with pytest.raises(BusyError, match="none of the 1 Told was free"):
                await share.__aenter__()
            with pytest.raises(BusyError, match="none of the 1 Told was free"):
                share.__enter__()
        async with share:
            pass

    asyncio.run(run())


@pytest.mark.anyio
async def test_a_cancelled_wait_loses_nothing() -> None:
    told: list[str] = []
    share = shared(AsyncTold(told), limit=1)

    async def use() -> None:
        async with share:
            told.append("use")

    @prefect.flow
    async def run() -> None:
        async with share:
            waiting = [asyncio.create_task(use()) for _ in range(3)]
            await asyncio.sleep(0.02)
            waiting[0].cancel()
        await asyncio.wait(waiting)

    await run()
    assert told == ["open a", "use", "use", "close a"]


@BOTH
def test_a_setup_that_fails_fails_those_who_wait_and_the_next_tries_again(kind: Any) -> None:
    told: list[str] = []
    failures = [OSError("not yet")]

    class Late(kind):  # type: ignore[misc]
        def setup(self) -> Any:
            if failures:
                raise failures.pop()
            return super().setup()

    for share in (shared(Late(told)), shared(Late(told), limit=1)):
        failures[:] = [OSError("not yet")]
        told.clear()

        @prefect.task(retries=1)
        def use() -> None:
            with share:  # noqa: B023 - it is run at once
                told.append("use")

        @prefect.flow
        def run() -> None:
            use()

        run()
        assert told[-3:] == ["open a", "use", "close a"]


@FLAVOURS
@BOTH
def test_it_is_closed_when_the_flow_fails(flow: Any, kind: Any) -> None:
    told: list[str] = []
    share = shared(kind(told))

    @flow
    def run() -> None:
        with share:
            raise KeyError("first")

    with pytest.raises(KeyError, match="first"):
        run()
    assert told == ["open a", "close a"]


@pytest.mark.parametrize("is_async", [False, True])
def test_it_is_closed_when_the_flow_times_out(is_async: bool) -> None:
    told: list[str] = []
    share = shared(AsyncTold(told))

    @prefect.flow(timeout_seconds=0.3)
    def run() -> None:
        with share:
            time.sleep(10)

    @prefect.flow(timeout_seconds=0.3)
    async def arun() -> None:
        async with share:
            await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        asyncio.run(arun()) if is_async else run()
    assert told == ["open a", "close a"]


def test_it_is_closed_when_the_flow_is_cancelled_from_within_the_loop() -> None:
    told: list[str] = []
    share = shared(AsyncTold(told))

    @prefect.flow
    async def run() -> None:
        async with share:
            told.append("use")
            await asyncio.sleep(10)

    async def main() -> None:
        running = asyncio.create_task(run())
        while "use" not in told:  # noqa: ASYNC110 - the flow may run in another thread
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert told == ["open a", "use", "close a"]


def test_a_failing_cleanup_stops_no_other_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    names = [("a", False), ("b", True), ("c", False)]
    shares = [shared(Told(told, name, fails)) for name, fails in names]

    @prefect.flow
    def run() -> str:
        for share in shares:
            with share:
                pass
        return "done"

    assert run() == "done"
    assert told[3:] == ["close c", "close b", "close a"]
    assert "b will not close" in caplog.text


def test_each_attempt_of_a_retried_flow_opens_its_own() -> None:
    told: list[str] = []
    share = shared(Told(told))

    @prefect.flow(retries=1)
    def run() -> None:
        with share:
            if len(told) < 3:
                raise KeyError

    run()
    assert told == ["open a", "close a"] * 2


def test_a_subflow_opens_its_own_and_closes_it_at_its_end() -> None:
    told: list[str] = []
    share = shared(Told(told))

    @prefect.flow
    def child() -> None:
        with share:
            told.append("child")

    @prefect.flow
    def parent() -> None:
        with share:
            child()
            told.append("parent")

    parent()
    assert told == ["open a", "open a", "child", "close a", "parent", "close a"]


def test_generator_tasks_and_flows_share() -> None:
    told: list[str] = []
    share = shared(Told(told))

    @prefect.flow
    def rows() -> Generator[int, None, None]:
        with share:
            yield from range(3)

    @prefect.flow
    async def arows() -> AsyncGenerator[int, None]:
        async with share:
            for number in range(3):
                yield number

    async def collect() -> list[int]:
        return [number async for number in arows()]

    assert list(rows()) == [0, 1, 2]
    assert told == ["open a", "close a"]
    assert asyncio.run(collect()) == [0, 1, 2]
    assert told == ["open a", "close a"] * 2


def test_outside_of_a_flow_run_each_with_opens_its_own() -> None:
    told: list[str] = []
    share = shared(AsyncTold(told))

    async def asynchronously() -> None:
        async with share:
            told.append("use")

    @prefect_etl.task
    def alone() -> None:
        with share:
            told.append("use")

    with share:
        told.append("use")
    asyncio.run(asynchronously())
    alone()
    assert told == ["open a", "use", "close a"] * 3


def test_what_is_bound_to_its_loop_is_used_there() -> None:
    class Bound(ResourceManager[asyncio.AbstractEventLoop]):
        async def setup(self) -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

    share = shared(Bound())

    async def here() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    @prefect.task
    def use() -> None:
        with share as loop:
            assert share.run(here()) is loop

    @prefect.task
    async def ause() -> None:
        async with share as loop:
            assert await share.arun(here()) is loop

    @prefect.flow
    def run() -> None:
        use()
        ause.submit().result()

    run()
    with pytest.raises(ConfigError, match="not entered here"):
        share.run(here())


def test_generator_resources_and_connections_are_shared(tmp_path: Any) -> None:
    told: list[str] = []

    @resource
    def numbered(first: int) -> Iterator[int]:
        told.append("open")
        yield first
        told.append("close")

    number = shared(numbered(7))
    warehouse = shared(DatabaseConnection(f"duckdb:///{tmp_path / 'w.duckdb'}"))

    @prefect.task
    async def insert(row: int) -> None:
        async with warehouse as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS t(i INT)")
            with number as value:
                await connection.execute("INSERT INTO t VALUES (?)", [row + value])

    @prefect.flow
    def run() -> Any:
        prefect.futures.wait(insert.map(range(4)))
        with warehouse as connection:
            return connection.blocking.fetchall("SELECT sum(i) FROM t")

    assert run() == [(34,)]
    assert told == ["open", "close"]


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(ConfigError, match="a number from 1"):
        shared(Told([]), limit=0)
    opened = Told([])
    with opened, pytest.raises(ConfigError, match="is open already"):
        shared(opened)
    with pytest.raises(ConfigError, match="is no resource"):
        shared(7)  # type: ignore[call-overload]
    with pytest.raises(ConfigError, match="gave a str"):
        shared(lambda: "nothing").__enter__()  # type: ignore[arg-type,return-value]
    with pytest.raises(ConfigError, match="not entered here"):
        shared(Told([])).__exit__(None, None, None)


def test_it_travels_by_pickle_and_stays_the_same_resource() -> None:
    share = shared(DatabaseConnection("duckdb://"), limit=2)
    copy = cloudpickle.loads(cloudpickle.dumps(share))
    assert (repr(copy), copy._key) == (repr(share), share._key)
    assert repr(copy) == "shared(DatabaseConnection, limit=2)"


def test_the_runner_stays_what_it_was_for_prefect() -> None:
    share = shared(Told([]))

    @prefect.flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def run() -> None:
        context = FlowRunContext.get()
        assert context is not None
        before = context.task_runner
        with share:
            pass
        after = context.task_runner
        assert after is before
        assert isinstance(after, ThreadPoolTaskRunner)
        assert (after.name, type(after).__name__) == ("threadpool", "ThreadPoolTaskRunner")
        assert type(cloudpickle.loads(cloudpickle.dumps(after.duplicate()))) is ThreadPoolTaskRunner

    run()


def test_nothing_is_left_behind_by_many_runs() -> None:
    share = shared(lambda: AsyncTold([]), limit=2)

    @prefect.flow
    def run() -> None:
        for _ in range(3):
            with share:
                pass

    run()
    before = threading.active_count()
    for _ in range(3):
        run()
    assert threading.active_count() <= before


def test_a_resource_opens_in_the_context_of_its_run(prefect_server: ServerInfo) -> None:
    ids: list[object] = []

    class Logs(ResourceManager[None]):
        async def setup(self) -> None:
            ids.append(prefect.runtime.flow_run.id)

        def cleanup(self) -> None:
            ids.append(prefect.runtime.flow_run.id)
            prefect.get_run_logger().info("closed")

    share = shared(Logs())

    @prefect.flow
    def run() -> None:
        with share:
            ids.append(prefect.runtime.flow_run.id)

    run()
    assert len(ids) == 3
    assert len(set(ids)) == 1
