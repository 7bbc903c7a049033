"""The values of one metric with one set of tags."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from time import time
from typing import Any

from prefect_etl.utils.metrics.names import Kind, Tags

logger = logging.getLogger(__name__)

Forward = Callable[[float, Mapping[str, str]], None]

SECONDS_BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0),
)
OTHER_BUCKETS = tuple(10.0**power for power in range(-3, 13))


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is, whatever its values.

    Attributes:
        name: Its full name, with unit and ending.
        kind: ``counter``, ``gauge`` or ``histogram``.
        unit: In OpenTelemetry's spelling: ``s``, ``By``, ``1``, or empty.
        description: For people.
        buckets: Of a histogram: the upper bounds, each included, without infinity.
    """

    name: str
    kind: Kind
    unit: str = ""
    description: str = field(default="", compare=False)
    buckets: tuple[float, ...] = ()


class Series:
    """The values of one metric with one set of tags; threads may record at once."""

    def __init__(self, metric: Metric, tags: Tags) -> None:
        self.metric = metric
        self.tags = tags
        self.time = 0.0
        self.forward: Forward | None = None
        self.labels: Mapping[str, str] = dict(tags)
        self._lock = Lock()
        self._warned = False

    def record(self, value: float, at: float | None = None) -> None:
        """Take a value, of this moment or of another in seconds since 1970."""
        raise NotImplementedError

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        metric = self.metric
        head = {"name": metric.name, "kind": metric.kind, "unit": metric.unit}
        return head | {"tags": dict(self.tags), "time": self.time} | self._values()

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from what :meth:`as_dict` gave."""
        raise NotImplementedError

    def _values(self) -> dict[str, Any]:
        raise NotImplementedError

    def _refuse(self, value: float) -> None:
        # A value comes from data: it may be wrong on one night in a hundred, and fails no flow.
        if not self._warned:
            self._warned = True
            logger.warning(
                "The %s %s got the value %s, which it cannot take; such values are left out.",
                *(self.metric.kind, self.metric.name, value),
            )


class CounterSeries(Series):
    """A sum that only grows."""

    total = 0.0

    def record(self, value: float, at: float | None = None) -> None:
        """Add to the sum."""
        number = float(value)
        if not 0 <= number < inf:
            self._refuse(number)
            return
        with self._lock:
            self.total += number
        self.time = at or time()
        if self.forward is not None:
            self.forward(number, self.labels)

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from a sum."""
        self.total, self.time = values["value"], values["time"]

    def _values(self) -> dict[str, Any]:
        return {"value": self.total}


class GaugeSeries(Series):
    """The last value."""

    value = 0.0

    def record(self, value: float, at: float | None = None) -> None:
        """Take the place of the last value, unless that one is younger."""
        number = float(value)
        if not -inf < number < inf:
            self._refuse(number)
            return
        moment = at or time()
        if at is not None and moment < self.time:  # another process' value, read later
            return
        self.value, self.time = number, moment
        if self.forward is not None:
            self.forward(number, self.labels)

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from a value."""
        self.value, self.time = values["value"], values["time"]

    def _values(self) -> dict[str, Any]:
        return {"value": self.value}


class HistogramSeries(Series):
    """Number, sum, least and greatest, and how many values lie below each bound."""

    def __init__(self, metric: Metric, tags: Tags) -> None:
        super().__init__(metric, tags)
        self.count = 0
        self.sum = 0.0
        self.min = inf
        self.max = -inf
        self.counts = [0] * (len(metric.buckets) + 1)

    def record(self, value: float, at: float | None = None) -> None:
        """Take one more value."""
        number = float(value)
        if not -inf < number < inf:
            self._refuse(number)
            return
        with self._lock:
            self.count += 1
            self.sum += number
            if number < self.min:  # noqa: PLR1730 - as fast again as min()
                self.min = number
            if number > self.max:  # noqa: PLR1730
                self.max = number
            self.counts[bisect_left(self.metric.buckets, number)] += 1
        self.time = at or time()
        if self.forward is not None:
            self.forward(number, self.labels)

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from earlier values."""
        self.count, self.sum, self.time = values["count"], values["sum"], values["time"]
        self.min, self.max = values["min"], values["max"]
        if len(values["counts"]) == len(self.counts):
            self.counts = list(values["counts"])

    def _values(self) -> dict[str, Any]:
        with self._lock:
            return {
                "count": self.count,
                "sum": self.sum,
                "min": self.min,
                "max": self.max,
                "buckets": list(self.metric.buckets),
                "counts": list(self.counts),
            }


KINDS: Mapping[Kind, type[Series]] = {
    "counter": CounterSeries,
    "gauge": GaugeSeries,
    "histogram": HistogramSeries,
}
