"""Values of the user's own, from inside flows and tasks: timers, gauges, counters, histograms."""

from prefect_etl.utils.metrics.calls import Metrics, metrics

__all__ = ["Metrics", "metrics"]
