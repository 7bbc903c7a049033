from __future__ import annotations

import asyncio
import copy
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, nullcontext
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.errors import ConfigError
from prefect_etl.utils.resources import ResourceManager, resource


class Plain(ResourceManager[str]):
    """Writes down what happens to it, with the loop in which it does."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.loops: list[object] = []

    def tell(self, what: str) -> None:
        self.told.append(what)
        try:
            self.loops.append(asyncio.get_running_loop())
        except RuntimeError:
            self.loops.append(None)

    def setup(self) -> Any:
        self.tell("open")
        return "value"

    def cleanup(self) -> Any:
        self.tell("closed")


class Async(Plain):
    async def setup(self) -> str:
        await asyncio.sleep(0)
        self.tell("open")
        return "value"

    async def cleanup(self) -> None:
        await asyncio.sleep(0)
        self.tell("closed")


class HalfAsync(Plain):
    async def setup(self) -> str:
        self.tell("open")
        return "value"


EVERY = pytest.mark.parametrize("kind", [Plain, Async, HalfAsync])


@EVERY
def test_a_plain_with_opens_and_closes(kind: type[Plain]) -> None:
    managed = kind()
    with managed as value:
        assert (value, managed.told) == ("value", ["open"])
    assert managed.told == ["open", "closed"]


@EVERY
@pytest.mark.anyio
async def test_an_async_with_opens_and_closes_in_the_callers_loop(kind: type[Plain]) -> None:
    managed = kind()
    async with managed as value:
        assert (value, managed.told) == ("value", ["open"])
    assert managed.told == ["open", "closed"]
    assert set(managed.loops) == {asyncio.get_running_loop()}


@pytest.mark.anyio
async def test_a_plain_with_works_inside_a_running_loop_and_keeps_to_one_loop_of_its_own() -> None:
    managed = Async()
    with managed:
        assert managed.run(loop_of_here()) is managed.loops[0]
    assert managed.told == ["open", "closed"]
    assert managed.loops[0] is managed.loops[1]
    assert managed.loops[0] is not asyncio.get_running_loop()


async def loop_of_here() -> object:
    return asyncio.get_running_loop()


def test_a_coroutine_runs_only_in_a_private_loop() -> None:
    managed = Plain()
    with managed, pytest.raises(ConfigError, match="no loop of its own"):
        managed.run(loop_of_here())
    with pytest.raises(ConfigError, match="no loop of its own"):
        Async().run(loop_of_here())


@EVERY
def test_it_is_closed_after_an_error_of_the_block(kind: type[Plain]) -> None:
    managed = kind()
    with pytest.raises(KeyError), managed:
        raise KeyError
    assert managed.told == ["open", "closed"]


class Failing(Plain):
    def __init__(self, *where: str) -> None:
        super().__init__()
        self.where = where

    def setup(self) -> Any:
        super().setup()
        if "setup" in self.where:
            raise LookupError("no setup")
        return "value"

    def cleanup(self) -> Any:
        super().cleanup()
        if "cleanup" in self.where:
            raise OSError("no cleanup")


class AsyncFailing(Failing):
    async def setup(self) -> str:
        await asyncio.sleep(0)
        super().setup()
        return "value"

    async def cleanup(self) -> None:
        await asyncio.sleep(0)
        super().cleanup()


FAILING = pytest.mark.parametrize("kind", [Failing, AsyncFailing])
WITH = pytest.mark.parametrize("word", ["with", "async with"])


def use(managed: ResourceManager[Any], word: str, body: Callable[[], object]) -> None:
    async def asynchronously() -> None:
        async with managed:
            body()

    if word == "with":
        with managed:
            body()
    else:
        asyncio.run(asynchronously())


def fail() -> None:
    raise KeyError("first")


@FAILING
@WITH
def test_a_failing_cleanup_is_raised(kind: type[Failing], word: str) -> None:
    with pytest.raises(OSError, match="no cleanup"):
        use(kind("cleanup"), word, lambda: None)


@FAILING
@WITH
def test_a_failing_cleanup_does_not_hide_the_first_error(
    kind: type[Failing], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyError, match="first") as raised:
        use(kind("cleanup"), word, fail)
    assert any("no cleanup" in note for note in raised.value.__notes__)
    assert "no cleanup" in caplog.text


@FAILING
@WITH
def test_a_setup_that_fails_half_way_is_cleaned_up(kind: type[Failing], word: str) -> None:
    managed = kind("setup", "cleanup")
    with pytest.raises(LookupError, match="no setup") as raised:
        use(managed, word, fail)
    assert managed.told == ["open", "closed"]
    assert any("no cleanup" in note for note in raised.value.__notes__)
    assert not managed.is_open


@EVERY
@WITH
def test_an_open_one_cannot_be_entered_again(kind: type[Plain], word: str) -> None:
    managed = kind()

    def enter_again() -> None:
        with pytest.raises(ConfigError, match="is open already"):
            managed.__enter__()

    use(managed, word, enter_again)
    use(managed, word, lambda: None)  # a closed one can
    assert managed.told == ["open", "closed"] * 2


def test_one_that_is_not_open_cannot_be_left() -> None:
    with pytest.raises(ConfigError, match="is not open"):
        Plain().__exit__(None, None, None)


class Slow(Plain):
    """Takes its time to open and to close."""

    seconds = (0.0, 0.05)

    async def setup(self) -> str:
        self.told.append("opening")
        await asyncio.sleep(self.seconds[0])
        return super().setup()

    async def cleanup(self) -> None:
        await asyncio.sleep(self.seconds[1])
        super().cleanup()


@pytest.mark.anyio
async def test_a_timeout_of_anyio_does_not_cut_the_cleanup_short() -> None:
    managed = Slow()
    with anyio.move_on_after(0.01) as scope:
        async with managed:
            await asyncio.sleep(10)
    assert scope.cancelled_caught
    assert managed.told == ["opening", "open", "closed"]


@pytest.mark.anyio
async def test_repeated_cancellation_does_not_cut_the_cleanup_short() -> None:
    managed = Slow()

    async def work() -> None:
        async with managed:
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0.005)
    assert task.cancelled()
    assert managed.told == ["opening", "open", "closed"]


@pytest.mark.anyio
async def test_a_cancelled_setup_is_cleaned_up() -> None:
    managed = Slow()
    managed.seconds = (10.0, 0.01)

    async def work() -> None:
        async with managed:
            raise AssertionError

    task = asyncio.create_task(work())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert managed.told == ["opening", "closed"]
    assert not managed.is_open


def test_when_the_loop_ends_it_stays_open_for_its_users_last_words() -> None:
    managed = Async()

    async def work() -> None:
        async with managed:
            try:
                await asyncio.sleep(10)
            finally:
                await asyncio.sleep(0.02)
                managed.tell("last words")

    async def main() -> None:
        background.append(asyncio.create_task(work()))
        await asyncio.sleep(0.01)

    background: list[object] = []
    asyncio.run(main())  # cancels every task there is, at once
    assert managed.told == ["open", "last words", "closed"]


@pytest.mark.parametrize("word", ["with", "async with"])
def test_a_signal_waits_until_a_plain_cleanup_is_done(word: str) -> None:
    class Interrupted(Plain):
        def cleanup(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            self.tell("closed")

    class TerminatedError(BaseException):
        pass

    def terminate(*_: object) -> None:
        raise TerminatedError

    managed = Interrupted()
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        with pytest.raises(TerminatedError):
            use(managed, word, lambda: None)
        assert managed.told == ["open", "closed"]
        assert signal.getsignal(signal.SIGTERM) is terminate
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ctrl_c_waits_until_the_cleanup_in_a_thread_is_done() -> None:
    class Interrupted(Plain):
        async def cleanup(self) -> None:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
            self.tell("closed")

    managed = Interrupted()
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117 - it comes from leaving the inner one
        with managed:
            pass
    assert managed.told == ["open", "closed"]


def test_the_thread_of_a_resource_ends_with_it() -> None:
    before = set(threading.enumerate())
    with Async():
        assert set(threading.enumerate()) - before
    deadline = threading.Event()
    while set(threading.enumerate()) - before:
        deadline.wait(0.01)


def test_what_has_to_be_awaited_is_asked_for_by_name() -> None:
    class Disguised(ResourceManager[int]):
        def setup(self) -> Any:
            async def later() -> int:
                await asyncio.sleep(0)
                return 1

            return later()

    with pytest.raises(ConfigError, match="has to be awaited"):
        Disguised().__enter__()


def test_a_subclass_need_not_call_the_base_and_may_be_copied() -> None:
    managed = Plain()
    other = copy.copy(managed)
    with managed, other:
        assert managed.is_open
        assert other.is_open


def generated(*steps: str) -> tuple[list[str], Callable[[], ResourceManager[str]]]:
    told: list[str] = []

    @resource
    def plain() -> Iterator[str]:
        for step in steps:
            told.append(step)
            yield step
        told.append("closed")

    return told, plain


def async_generated(*steps: str) -> tuple[list[str], Callable[[], ResourceManager[str]]]:
    told: list[str] = []

    @resource
    async def later() -> AsyncIterator[str]:
        for step in steps:
            await asyncio.sleep(0)
            told.append(step)
            yield step
        told.append("closed")

    return told, later


GENERATED = pytest.mark.parametrize("make", [generated, async_generated])


@GENERATED
@WITH
def test_a_generator_function_is_a_resource(make: Any, word: str) -> None:
    told, opening = make("open")
    use(opening(), word, lambda: told.append("used"))
    assert told == ["open", "used", "closed"]


@GENERATED
@WITH
def test_what_stands_after_the_yield_runs_after_an_error_too(make: Any, word: str) -> None:
    told, opening = make("open")
    with pytest.raises(KeyError):
        use(opening(), word, fail)
    assert told == ["open", "closed"]


@GENERATED
@pytest.mark.parametrize(("steps", "how"), [([], "without a yield"), (["a", "b"], "more than one")])
def test_a_generator_yields_once(make: Any, steps: list[str], how: str) -> None:
    _, opening = make(*steps)
    with pytest.raises(ConfigError, match=how):
        use(opening(), "with", lambda: None)


def test_only_a_generator_function_is_made_a_resource() -> None:
    with pytest.raises(ConfigError, match="no generator function"):
        resource(len)  # type: ignore[call-overload]


@given(st.lists(st.sampled_from(["plain", "async", "fails"]), max_size=6), st.booleans())
def test_every_cleanup_runs_once_and_the_last_opened_is_closed_first(
    kinds: list[str], fails: bool
) -> None:
    order: list[int] = []

    def numbered(number: int, kind: str) -> ResourceManager[Any]:
        managed = {"plain": Plain, "async": Async, "fails": lambda: Failing("cleanup")}[kind]()
        managed.tell = lambda what: order.append(number if what == "open" else -number)
        return managed

    raised = pytest.raises((KeyError, OSError)) if fails or "fails" in kinds else nullcontext()
    with raised, ExitStack() as stack:
        for number, kind in enumerate(kinds, 1):
            stack.enter_context(numbered(number, kind))
        if fails:
            raise KeyError
    count = len(kinds)
    assert order == [*range(1, count + 1), *range(-count, 0)]
