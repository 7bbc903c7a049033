"""One attempt of a flow run that asked for metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future, wait
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from prefect.futures import PrefectFuture

from prefect_etl.core.retry import is_hopeless
from prefect_etl.orchestration.metrics.flow_runs import PATIENCE, MeasuredRun, begin, finishing
from prefect_etl.orchestration.metrics.record import Outcome
from prefect_etl.orchestration.metrics.returned import observe
from prefect_etl.utils.metrics import scopes


class Attempt:
    """One attempt; of no run where the flow's function is called as a function."""

    def __init__(self) -> None:
        context = FlowRunContext.get()
        self._measured: MeasuredRun | None = None
        self._outcome: Outcome = "completed"
        self._more = False
        if context is not None:
            self._measured = begin(context, tracked=True)
        if context is not None and context.flow_run is not None and self._measured is not None:
            observe(context, self._measured.returned)
            # The server counts the same way.
            retries = context.flow_run.empirical_policy.retries or 0
            self._more = self._measured.attempt <= retries

    @contextmanager
    def in_scope(self) -> Iterator[None]:
        """What is recorded inside, also in threads that take its context along, is this run's."""
        if self._measured is None:
            yield
            return
        token = scopes.scope.set(self._measured.run)
        try:
            yield
        finally:
            scopes.scope.reset(token)

    def gave(self, value: Any) -> Any:
        """Look at what the flow returns, and give it back."""
        if self._measured is not None:
            self._measured.returned.finish(value)
            if _any_failed(value):
                self._outcome = "retrying" if self._more else "failed"
        return value

    def raised(self, error: BaseException) -> None:
        """Look at what the flow raised."""
        if isinstance(error, Exception):
            self._outcome = "retrying" if self._more and not is_hopeless(error) else "failed"
        elif isinstance(error, Pause):
            self._outcome = "paused"
        else:
            cancelled = isinstance(error, asyncio.CancelledError)
            self._outcome = "cancelled" if cancelled else "crashed"

    def end(self) -> Future[None] | None:
        """Begin to end it."""
        return None if self._measured is None else finishing(self._measured, self._outcome)


@contextmanager
def attempt() -> Iterator[Attempt]:
    """An attempt of a sync flow."""
    this = Attempt()
    try:
        yield this
    except BaseException as error:  # also Ctrl-C and SIGTERM: how it ended is what is recorded
        this.raised(error)
        raise
    finally:
        if done := this.end():
            wait([done], PATIENCE)


@asynccontextmanager
async def async_attempt() -> AsyncIterator[Attempt]:
    """An attempt of an async flow."""
    this = Attempt()
    try:
        yield this
    except BaseException as error:  # as above
        this.raised(error)
        raise
    finally:
        if done := this.end():
            await asyncio.wait([asyncio.wrap_future(done)], timeout=PATIENCE)


def _any_failed(value: Any) -> bool:
    """Whether Prefect will take what a flow returns for a failure."""
    parts = value if isinstance(value, list | tuple | set) else [value]
    for part in parts:
        if isinstance(part, PrefectFuture):
            part.wait()  # Prefect would, next
            part = part.state  # noqa: PLW2901
        if isinstance(part, State) and not part.is_completed():
            return True
    return False
