"""Hands values on to OpenTelemetry's instruments, where a meter provider was given.

The provider is ours or one that the user gives to ``metrics.export_to``; the process' global
provider is neither set nor used unasked.
"""

from __future__ import annotations

import logging
from threading import Lock
from typing import TYPE_CHECKING

from prefect_etl.utils.metrics.series import Forward, Metric

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter, MeterProvider

logger = logging.getLogger(__name__)
_METER = "prefect_etl"


class Bridge:
    """The instruments of one meter provider, made when they are first asked for."""

    def __init__(self, provider: MeterProvider) -> None:
        self._meter: Meter = provider.get_meter(_METER)
        self._instruments: dict[str, tuple[Metric, Forward]] = {}
        self._lock = Lock()

    def forward(self, metric: Metric) -> Forward | None:
        """Where the values of a metric go.

        None where an earlier run of this process had another metric of the same name: Prometheus
        has one kind a name.
        """
        with self._lock:
            if metric.name not in self._instruments:
                self._instruments[metric.name] = metric, self._make(metric)
            known, forward = self._instruments[metric.name]
        if known == metric:
            return forward
        logger.warning(
            "The metric %s is not exported: another flow of this process has it as a %s%s.",
            *(metric.name, known.kind, " with other buckets" if known.kind == metric.kind else ""),
        )
        return None

    def _make(self, metric: Metric) -> Forward:
        unit, text = metric.unit, metric.description
        if metric.kind == "counter":
            # The ending is Prometheus'; its exporter adds it.
            name = metric.name.removesuffix("_total")
            return self._meter.create_counter(name, unit, text).add
        if metric.kind == "gauge":
            return self._meter.create_gauge(metric.name, unit, text).set
        return self._meter.create_histogram(
            metric.name, unit, text, explicit_bucket_boundaries_advisory=metric.buckets
        ).record
