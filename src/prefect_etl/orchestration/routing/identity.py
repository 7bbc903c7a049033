"""What a child flow run is: its flow, its content, and its place among its siblings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast
from uuid import uuid4

from prefect import Flow, Task
from prefect.context import FlowRunContext, TagsContext, TaskRunContext
from prefect.futures import resolve_futures_to_results
from prefect.results import should_persist_result
from prefect.utilities.engine import collect_task_run_inputs_sync

from prefect_etl.core.frames import is_lazy
from prefect_etl.orchestration.routing.siblings import Outcome, Siblings, Unkept, siblings_in


@dataclass(frozen=True)
class Call:
    """A call of a child flow.

    Attributes:
        flow: The child.
        parameters: All of its arguments.
        parent: The run that it belongs to.
        wanted: What the caller gets.
        wait_for: Futures that the child waits for.
    """

    flow: Flow[..., Any]
    parameters: dict[str, Any]
    parent: FlowRunContext
    wanted: Literal["state", "result"] = "result"
    wait_for: Any = None

    @property
    def attempt(self) -> int:
        """Which attempt of the parent this is, from 1."""
        return self.parent.flow_run.run_count if self.parent.flow_run else 1

    @property
    def retried(self) -> bool:
        """Whether the parent may try again in this process."""
        run = self.parent.flow_run
        return bool(run and run.empirical_policy.retries)

    @property
    def kept(self) -> bool:
        """Whether the parent's next attempt in this process wants the result."""
        return self.retried and self.flow.cache_result_in_memory

    @property
    def sought(self) -> bool:
        """Whether an attempt could find what another one left: else content tells nothing."""
        if self.parent.detached:
            return False  # in another process or machine, which sees no siblings
        persists = self.flow.persist_result
        if persists is None:
            persists = should_persist_result()
        return self.retried or persists or self.attempt > 1

    @cached_property
    def siblings(self) -> Siblings:
        """The children of the same parent."""
        return siblings_in(self.parent)

    def content(self) -> str:
        """A key of flow and parameters; a new one each time where they have no exact content.

        Waits for futures among them. Reads whole frames, at some GB a second.
        """
        from prefect_etl.core.fingerprint import FingerprintError, fingerprint

        try:
            parameters = resolve_futures_to_results(self.parameters)
        except Exception:  # noqa: BLE001 - what failed upstream: Prefect raises it within the run
            return uuid4().hex
        if _holds_lazy(parameters):  # to compute a query twice may cost more than the child
            return uuid4().hex
        try:
            return fingerprint((self.flow.name, self._function(), self.wanted, parameters))
        except FingerprintError as error:
            if self.kept:
                self.say(f"would run again if this run does: {error.message}")
            return uuid4().hex

    def _function(self) -> str:
        from prefect_etl.core.fingerprint import FingerprintError, fingerprint

        function = _function_of(self.flow)
        try:
            return fingerprint(function)  # its code, and what it closes over
        except FingerprintError:
            return self.siblings.mark_of(function)

    def claim(self, content: str) -> Child:
        """Take the next place among the siblings of the same content."""
        task = _tracking_task(self.flow)
        key, number = self.siblings.call(task.task_key, content, self.attempt)
        return Child(self, task, key, number)

    def say(self, message: str) -> None:
        """Log it with the parent's run."""
        from prefect.logging import get_run_logger

        get_run_logger(self.parent).info("Child flow %r %s", self.flow.name, message)


@dataclass(frozen=True)
class Child:
    """A child flow run, which is the same in each attempt of its parent.

    Attributes:
        call: What is called.
        task: Stands for the child in its parent's run.
        key: Its identity among the children of the parent.
        number: Which call of its flow in this attempt it is, from 0.
    """

    call: Call
    task: Task[..., Any]
    key: str
    number: int

    @property
    def earlier(self) -> Outcome | None:
        """What became of it in an earlier attempt, within this process."""
        return self.call.siblings.earlier(self.key)

    def begin(self) -> Outcome:
        """Say that it runs."""
        outcome = Outcome() if self.call.kept else Unkept()
        if self.call.retried:
            self.call.siblings.begin(self.key, outcome)
        return outcome

    @property
    def tracking_run(self) -> dict[str, Any]:
        """Arguments of ``create_task_run`` for the task run that stands for it in the parent.

        Prefect's server gives the same one back for the same keys, in a later attempt too.
        """
        parent = self.call.parent
        sources = self.call.parameters | (
            {"wait_for": self.call.wait_for} if self.call.wait_for else {}
        )
        inputs = {name: list(collect_task_run_inputs_sync(v)) for name, v in sources.items()}
        return {
            "task": self.task,
            "name": f"{self.call.flow.name}-{self.number}",
            "flow_run_id": parent.flow_run.id if parent.flow_run else None,
            "dynamic_key": self.key,
            "task_inputs": inputs | _parents(parent),
            "extra_tags": TagsContext.get().current_tags,
        }

    def reused(self) -> None:
        """Say in the parent's log that it does not run again."""
        self.call.say("finished in an earlier attempt: its result is used")


def _function_of(flow: Flow[..., Any]) -> Callable[..., Any]:
    # As the user gave it: what our options wrap around it is the same for all flows.
    return cast("Callable[..., Any]", getattr(flow, "_plain_fn", flow.fn))


def _tracking_task(flow: Flow[..., Any]) -> Task[..., Any]:
    return Task(fn=_function_of(flow), name=flow.name, version=flow.version)


def _parents(parent: FlowRunContext) -> dict[str, Any]:
    from prefect.client.schemas.objects import TaskRunResult

    around = TaskRunContext.get()
    if around is None or parent.flow_run is None:
        return {}
    if around.task_run.flow_run_id != parent.flow_run.id:
        return {}  # the task calls a flow, which calls this one
    return {"__parents__": [TaskRunResult(id=around.task_run.id)]}


def _holds_lazy(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_lazy(part) for part in value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(_holds_lazy(part) for part in value)
    return is_lazy(value)
