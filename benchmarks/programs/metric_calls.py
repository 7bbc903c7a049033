"""What a call of a metric with one tag costs, beside OpenTelemetry's own, and what tracking adds.

Prints processor microseconds a call, of the thread that calls, and milliseconds a flow run.
"""

from __future__ import annotations

import asyncio
import json
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from prefect_etl import flow, metrics
from prefect_etl.config.settings import Settings
from prefect_etl.orchestration.metrics.exporters import start_exporters
from prefect_etl.utils.metrics import scopes

_CALLS, _REPEATS, _FLOWS = 5_000, 5, 5
TAGS = {"environment": "production"}


def cost(call: Callable[[], object]) -> float:
    """Microseconds of the calling thread's processor time, median of five."""
    times = []
    for _ in range(_REPEATS):
        begun = time.thread_time()
        for _ in range(_CALLS):
            call()
        times.append((time.thread_time() - begun) / _CALLS * 1e6)
    return median(times)


def block() -> None:
    with metrics.timer("time", TAGS):
        pass


CALLS: dict[str, Callable[[], object]] = {
    "gauge": lambda: metrics.gauge("gauge", 3, tags=TAGS),
    "counter": lambda: metrics.counter("counter", 3, tags=TAGS),
    "histogram": lambda: metrics.histogram("histogram", 3, tags=TAGS),
    "timer, with": block,
}


def calls(where: str) -> dict[str, float]:
    return {f"{name}, {where}": cost(call) for name, call in CALLS.items()}


@flow(track_metrics=True)
async def tracked() -> dict[str, float]:
    return calls("in a run")


@flow(track_metrics=True)
async def exported() -> dict[str, float]:
    return calls("Prometheus and a dead OTLP")


@flow
async def untracked_calls() -> dict[str, float]:
    return calls("in a plain run")


@flow(track_metrics=True)
async def empty_tracked() -> None: ...


@flow
async def empty() -> None: ...


def flows() -> dict[str, float]:
    found = {}
    for name, one in (("empty flow", empty), ("empty tracked flow", empty_tracked)):
        times = []
        for _ in range(_FLOWS):
            begun = time.perf_counter()
            asyncio.run(one())
            times.append((time.perf_counter() - begun) * 1e3)
        found[name] = median(times)
    return found


def main() -> None:
    instrument = MeterProvider([InMemoryMetricReader()]).get_meter("own").create_gauge("gauge")
    found = {"OpenTelemetry's gauge": cost(lambda: instrument.set(3, TAGS))}
    found |= asyncio.run(tracked())
    found |= asyncio.run(untracked_calls())
    found |= flows()
    with tempfile.TemporaryDirectory() as folder:
        token = scopes.scope.set(scopes.for_other_process(Path(folder)))
        found |= calls("in another process")
        scopes.scope.reset(token)
    scopes.export_through(None)
    with socket.socket() as collector:
        # It takes connections and never answers.
        collector.bind(("127.0.0.1", 0))
        collector.listen()
        endpoint = f"http://127.0.0.1:{collector.getsockname()[1]}"
        start_again(Settings(metrics_port=0, otlp_endpoint=endpoint))
        found |= asyncio.run(exported())
        print(json.dumps(found))


def start_again(settings: Settings) -> None:
    from prefect_etl.orchestration.metrics import exporters

    exporters._started.release()  # noqa: SLF001 - once a process, but for this one
    start_exporters(settings)


if __name__ == "__main__":
    main()
