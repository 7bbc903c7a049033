"""Synchronous flow runs whose end does not wait for their heartbeat.

Prefect's heartbeat thread sleeps in steps of a second and is joined when the run ends, so an empty
synchronous flow takes a second. Asynchronous runs do not join it and are left to Prefect.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from prefect import Flow, __version__
from prefect.client.schemas.objects import FlowRun
from prefect.settings import get_current_settings

if TYPE_CHECKING:
    from prefect.flow_engine import FlowRunEngine

logger = logging.getLogger(__name__)
ReturnType = Literal["state", "result"]
_LEAST_SECONDS = 30  # as Prefect


def run_sync(
    flow: Flow[..., Any],
    parameters: dict[str, Any],
    *,
    flow_run: FlowRun | None = None,
    wait_for: Any = None,
    return_type: ReturnType = "result",
) -> Any:
    """Run a synchronous flow as ``prefect.flow_engine.run_flow`` does, but for the wait.

    Args:
        flow: A flow whose function is neither async nor a generator.
        parameters: All of its arguments.
        flow_run: The run, where it is made already.
        wait_for: Futures to wait for.
        return_type: What comes back.
    """
    engine = _engine_class()(flow=flow, parameters=parameters, flow_run=flow_run, wait_for=wait_for)
    with engine.start():
        while engine.is_running():
            with engine.run_context():
                engine.call_flow_fn()
    return engine.state if return_type == "state" else engine.result()


@cache
def _engine_class() -> type[FlowRunEngine[..., Any]]:
    from prefect.flow_engine import FlowRunEngine

    # Prefect has no other way to choose its heartbeat for one run. Where a later one has no such
    # attribute, runs have Prefect's own heartbeat, and their end may wait for it again.
    if not hasattr(FlowRunEngine, "heartbeat_seconds"):
        logger.warning(
            "Prefect %s has no FlowRunEngine.heartbeat_seconds: the end of a synchronous flow run "
            "may take a second longer. Please report it to prefect_etl.",
            __version__,
        )
        return FlowRunEngine

    class QuickEngine(FlowRunEngine[..., Any]):
        """Prefect's engine, whose heartbeat ends when the run does."""

        heartbeat_seconds = None  # Prefect starts none

        @contextmanager
        def run_context(self) -> Iterator[Any]:
            with super().run_context(), beating(self.flow_run):
                yield self

    return QuickEngine


@contextmanager
def beating(flow_run: FlowRun | None) -> Iterator[None]:
    """Send Prefect's heartbeat events for a run, as often as its settings say, while it runs."""
    frequency = get_current_settings().flows.heartbeat_frequency
    if flow_run is None or frequency is None:
        yield
        return
    stop = threading.Event()
    resource = {
        "prefect.resource.id": f"prefect.flow-run.{flow_run.id}",
        "prefect.resource.name": flow_run.name or "",
        "prefect.version": __version__,
    }
    beat = threading.Thread(
        # In the run's context, for its settings: which API the events go to.
        target=copy_context().run,
        args=(_beat, resource, _related(flow_run), max(frequency, _LEAST_SECONDS), stop),
        name="prefect_etl-heartbeat",
        daemon=True,
    )
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join(timeout=2)


def _beat(
    resource: Mapping[str, str], related: list[dict[str, str]], seconds: int, stop: threading.Event
) -> None:
    from prefect.events import emit_event

    while True:
        try:
            emit_event("prefect.flow-run.heartbeat", resource=dict(resource), related=related)
        except Exception:  # whatever Prefect's client raises: a sign of life must not end a run
            logger.debug("the heartbeat of a flow run could not be sent", exc_info=True)
        if stop.wait(seconds):
            return


def _related(flow_run: FlowRun) -> list[dict[str, str]]:
    found = {"flow": flow_run.flow_id, "deployment": flow_run.deployment_id}
    related = [
        {"prefect.resource.id": f"prefect.{role}.{id_}", "prefect.resource.role": role}
        for role, id_ in found.items()
        if id_
    ]
    tags = [
        {"prefect.resource.id": f"prefect.tag.{tag}", "prefect.resource.role": "tag"}
        for tag in sorted(set(flow_run.tags))
    ]
    return related + tags
