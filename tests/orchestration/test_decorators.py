from __future__ import annotations

import asyncio
import inspect
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import prefect
import pytest
from prefect.client.orchestration import get_client

from prefect_etl.orchestration.decorators import EtlFlow, EtlTask, flow, task
from prefect_etl.orchestration.server import ServerInfo, server_status

Program = Callable[..., subprocess.Popen[str]]


@task
def double(number: int) -> int:
    """Twice."""
    return 2 * number


@task
async def triple(number: int) -> int:
    return 3 * number


@flow
def sync_flow(number: int) -> int:
    return double(number) + double.submit(number).result() + sum(double.map([1, 2]).result())


@flow
async def async_flow(number: int) -> int:
    return await triple(number) + triple.submit(number).result()


def hook(*_: object) -> None:
    """A state hook."""


def attributes(thing: object) -> dict[str, object]:
    ours = {
        *("task_runner", "track_metrics", "retry", "retry_condition_fn", "_plain_fn"),
        "cache_policy",  # keeps results, but makes no key, where Prefect keeps none either
    }
    kept = {name: value for name, value in vars(thing).items() if name not in ours}
    return kept | {"fn": inspect.unwrap(kept["fn"])}


@pytest.mark.parametrize(
    ("ours", "theirs"), [(flow, prefect.flow), (task, prefect.task)], ids=["flow", "task"]
)
@pytest.mark.parametrize(
    "options",
    [{}, {"name": "n", "retries": 2, "log_prints": True, "on_completion": [hook], "version": "1"}],
    ids=["bare", "options"],
)
def test_a_decorated_function_is_what_prefect_makes_of_it(
    ours: Callable[..., Callable[..., object]],
    theirs: Callable[..., Callable[..., object]],
    options: dict[str, object],
) -> None:
    def function(day: str = "today") -> str:
        """Says the day."""
        return day

    assert attributes(ours(**options)(function)) == attributes(theirs(**options)(function))
    if not options:
        assert attributes(ours(function)) == attributes(theirs(function))


def test_flow_and_task_stay_themselves_through_with_options() -> None:
    changed_flow = sync_flow.with_options(name="other").with_options(retries=3)
    changed_task = double.with_options(name="other").with_options(retries=3)
    assert type(changed_flow) is EtlFlow
    assert type(changed_task) is EtlTask
    assert (changed_flow.name, changed_flow.retries) == ("other", 3)
    assert (changed_task.name, changed_task.retries) == ("other", 3)
    assert attributes(double.with_options()) == attributes(double)


def test_hooks_that_prefect_takes_in_its_class_only_are_options_of_the_decorator() -> None:
    @task(on_rollback=[hook], on_commit=[hook])
    def careful() -> None:
        """Do nothing."""

    again = careful.with_options(name="again")
    assert (again.on_rollback_hooks, again.on_commit_hooks) == ([hook], [hook])


def test_a_sync_flow_and_its_tasks_run_on_the_shared_server(prefect_server: ServerInfo) -> None:
    state = sync_flow(2, return_state=True)
    assert state.result() == 14
    with get_client(sync_client=True) as client:
        assert str(client.api_url).startswith(prefect_server.url)
        run = client.read_flow_run(state.state_details.flow_run_id)
    assert run.state is not None
    assert run.state.is_completed()


async def call_async_flow(number: int) -> int:
    return await async_flow(number)


def test_an_async_flow_runs_inside_a_running_event_loop(prefect_server: ServerInfo) -> None:
    assert asyncio.run(call_async_flow(2)) == 12


def test_generator_flows_still_yield(prefect_server: ServerInfo) -> None:
    @flow
    def count() -> Generator[int, None, None]:
        yield from range(3)

    @flow
    async def acount() -> AsyncGenerator[int, None]:
        for number in range(3):
            yield number

    async def collect() -> list[int]:
        return [number async for number in acount()]

    assert list(count()) == [0, 1, 2]
    assert asyncio.run(collect()) == [0, 1, 2]


def test_a_task_called_outside_a_flow_runs_on_the_shared_server(
    prefect_server: ServerInfo,
) -> None:
    assert double(4) == 8
    assert asyncio.run(call_async_task(4)) == 12
    with get_client(sync_client=True) as client:
        left = client.read_task_run(double.delay(5).task_run_id)
    assert left.state is not None
    assert left.state.is_scheduled()


async def call_async_task(number: int) -> int:
    return await triple(number)


def test_flows_bind_as_methods(prefect_server: ServerInfo) -> None:
    class Loader:
        @flow
        def load(self, number: int) -> int:
            return number + 1

        @staticmethod
        @flow
        def check(number: int) -> int:
            return number + 2

    assert (Loader().load(1), Loader.check(1)) == (2, 3)


def test_a_plain_prefect_flow_may_call_ours_and_ours_a_plain_one(
    prefect_server: ServerInfo,
) -> None:
    @prefect.flow
    def plain_child(number: int) -> int:
        return number

    @flow
    def ours(number: int) -> int:
        return plain_child(double(number))

    @prefect.flow
    def plain_parent(number: int) -> int:
        return ours(number)

    assert plain_parent(3) == 6


def test_a_deployment_finds_the_flow_by_its_entrypoint(tmp_path: Path) -> None:
    path = tmp_path / "flows.py"
    path.write_text(
        "from prefect_etl.orchestration.decorators import flow\n\n"
        "@flow(name='nightly load', retries=2)\ndef load(day: str) -> str:\n    return day\n"
    )
    loaded = prefect.Flow.from_source(str(tmp_path), "flows.py:load")
    assert isinstance(loaded, EtlFlow)
    assert (loaded.name, loaded.retries) == ("nightly load", 2)
    assert flow.from_source(str(tmp_path), "flows.py:load").name == "nightly load"


def test_a_task_travels_to_another_process_by_cloudpickle() -> None:
    import cloudpickle

    copy = cloudpickle.loads(cloudpickle.dumps(double))
    assert type(copy) is EtlTask
    assert copy.fn(3) == 6


LONE_FLOW = """
    import asyncio, os
    from prefect_etl.orchestration.decorators import flow

    @flow
    async def lone() -> int:
        return 7

    async def main() -> None:
        ticks = 0
        running = asyncio.ensure_future(lone())
        while not running.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 20, "the loop stood still while the server started"
        print(running.result(), os.environ["PREFECT_API_URL"])

    asyncio.run(main())
"""


def test_an_async_flow_starts_the_server_without_stopping_the_event_loop(
    home: Path, program: Program
) -> None:
    run = program(LONE_FLOW)
    output, errors = run.communicate()
    assert run.returncode == 0, errors
    status = server_status(home=home)
    assert status is not None
    assert output.split() == ["7", status.url]


def test_a_configured_api_is_used_and_no_server_is_started(
    empty_home: Path, program: Program
) -> None:
    run = program(
        """
        from prefect_etl.orchestration.server import use_server
        print(use_server().url)
        """,
        PREFECT_API_URL="http://127.0.0.1:9/api",
    )
    assert run.communicate()[0].strip() == "http://127.0.0.1:9/api"
    assert not empty_home.exists()


def test_plain_parameters_are_stored_as_prefect_stores_them(program: Program) -> None:
    run = program(
        """
        import sys
        from enum import StrEnum
        from prefect import Flow
        from prefect_etl import flow

        class Colour(StrEnum):
            RED = "red"

        @flow
        def act(*, path, names, full, day): ...

        plain = dict(path="p.yaml", names=["a", "b"], full=True, day=None)
        ours = act.serialize_parameters(plain)
        assert "fastapi" not in sys.modules, "it costs a tenth of a second"
        assert ours == Flow.serialize_parameters(act, plain)
        others = dict(path=Colour.RED, names={1, 2}, full=1.5, day=object())
        assert act.serialize_parameters(others) == Flow.serialize_parameters(act, others)
        """
    )
    _, errors = run.communicate()
    assert run.returncode == 0, errors
