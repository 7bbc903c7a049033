"""The child flow runs of one parent run, told apart by content, through all its attempts.

Prefect tells the children of a run apart by the order of calls, which changes from attempt to
attempt where they run at once: a child could get its sibling's result or parameters (Prefect's
issues 22259 and 18601). Here a child is the n-th call of its flow with its content.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID, uuid4
from weakref import WeakKeyDictionary

from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

from prefect_etl.orchestration.routing.kept import NoCopyError, independent

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """The result of a child that is finished."""

    result: Any

    def again(self) -> Any:
        """A copy for one more attempt."""
        return independent(self.result)


class Outcome:
    """Of a child that runs or is over: its result, or None where it has to run again."""

    def __init__(self) -> None:
        self.settled: Future[Kept | None] = Future()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.settled.done():
            self.settled.set_result(None)

    def finish(self, result: Any) -> None:
        """Keep the result for the parent's next attempt; a state only if it is a success."""
        if isinstance(result, State) and not result.is_completed():
            return
        try:
            self.settled.set_result(Kept(independent(result)))
        except NoCopyError as error:
            logger.debug("a child's result is not kept for a retry of its parent: %s", error)


class Unkept(Outcome):
    """Of a child that no later attempt asks for."""

    def finish(self, result: Any) -> None:
        """Keep nothing."""


class Siblings:
    """The children of one parent run; any thread may ask."""

    def __init__(self) -> None:
        self._calls: dict[int, Counter[str]] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._marks: dict[int, tuple[object, str]] = {}
        self._lock = threading.Lock()

    def call(self, flow: str, content: str, attempt: int) -> tuple[str, int]:
        """The key of the next call of a content in an attempt, and which call of the flow it is.

        What an attempt has left running may still call children while the next one does.

        Example:
            >>> family = Siblings()
            >>> [family.call("f", "a", 1), family.call("f", "b", 1), family.call("f", "a", 1)]
            [('f-a-0', 0), ('f-b-0', 1), ('f-a-1', 2)]
            >>> family.call("f", "a", 2)
            ('f-a-0', 0)
        """
        with self._lock:
            calls = self._calls.setdefault(attempt, Counter())
            name = f"{flow}-{content}"
            number, key = calls[flow], f"{name}-{calls[name]}"
            calls.update((flow, name))
            return key, number

    def mark_of(self, thing: object) -> str:
        """A name for an object without a content key; no other object has ever the same one."""
        with self._lock:
            # The object is held, so that none that comes later has its address.
            return self._marks.setdefault(id(thing), (thing, uuid4().hex))[1]

    def earlier(self, key: str) -> Outcome | None:
        """What became of a child in another attempt, in this process."""
        with self._lock:
            return self._outcomes.get(key)

    def begin(self, key: str, outcome: Outcome) -> None:
        """Say that a child runs; who runs it settles the outcome."""
        with self._lock:
            self._outcomes[key] = outcome


# By the API client of the run, which lives as long as the run does: nothing else tells a run of
# plain Prefect's that is over. Runs within it share the client.
_FAMILIES: WeakKeyDictionary[object, dict[UUID, Siblings]] = WeakKeyDictionary()
_FAMILIES_LOCK = threading.Lock()


def siblings_in(parent: FlowRunContext) -> Siblings:
    """What this process knows of the children of a run."""
    if parent.flow_run is None:
        return Siblings()
    with _FAMILIES_LOCK:
        families = _FAMILIES.setdefault(parent.client, {})
        return families.setdefault(parent.flow_run.id, Siblings())


def forget(flow_run_id: UUID) -> None:
    """Let go of the children of a run that is over."""
    with _FAMILIES_LOCK:
        for families in _FAMILIES.values():
            families.pop(flow_run_id, None)
