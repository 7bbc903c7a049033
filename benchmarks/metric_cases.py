"""What a call of a metric costs: ours, with all exporters, beside OpenTelemetry's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.measure import Program
from benchmarks.result import Result, Target

if TYPE_CHECKING:
    from benchmarks.cases import Bench

_CALLS = ("gauge", "counter", "histogram", "timer, with")
_PLACES = ("in a run", "in a plain run", "in another process", "Prometheus and a dead OTLP")
_MOST_MICROSECONDS = 10.0


def metrics(bench: Bench) -> Result:
    """Processor time of one call with one tag of each kind."""
    name = "a metric of each kind"
    argv = bench.place.python("metric_calls")
    env = {"PREFECT_API_URL": bench.server.url}
    found = bench.measure(Program(name, argv, bench.folder("metrics"), env=env))
    own = found[name].figure("OpenTelemetry's gauge")
    cost = {
        f"{call}, {place}": found[name].figure(f"{call}, {place}")
        for place in _PLACES
        for call in _CALLS
    }
    worst = max(cost.values())
    empty, tracked = (found[name].figure(f) for f in ("empty flow", "empty tracked flow"))
    return Result(
        "metrics: processor time of one call with one tag",
        found,
        (
            Target("the dearest call, both exporters on", worst, _MOST_MICROSECONDS, "us"),
            Target(
                "a gauge in a run / OpenTelemetry's own", cost["gauge, in a run"] / own, 1.0, "x"
            ),
        ),
        (
            f"{'OpenTelemetry`s own gauge':<42} {own:6.2f} us",
            *(f"{call:<42} {figure:6.2f} us" for call, figure in cost.items()),
            f"an empty async flow {empty:.0f} ms, tracked {tracked:.0f} ms",
        ),
    )
