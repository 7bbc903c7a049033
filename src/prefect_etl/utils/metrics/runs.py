"""The values of one run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from prefect_etl.errors import ConfigError
from prefect_etl.utils.metrics.bridge import Bridge
from prefect_etl.utils.metrics.journal import SUFFIX, Journal, JournalFile, JournalWriter
from prefect_etl.utils.metrics.names import Kind, Tags, clean_tags, metric_name, unit_of
from prefect_etl.utils.metrics.series import KINDS, OTHER_BUCKETS, SECONDS_BUCKETS, Metric, Series

logger = logging.getLogger(__name__)

Record = Callable[[float], None]
Key = tuple[Kind, str, str | None, Any]

SERIES_LIMIT = 100
METRICS_LIMIT = 1000
OVERFLOW = "overflow"
_SAMPLES = ("_bucket", "_count", "_sum")


class RunMetrics:
    """The metrics of one run.

    Args:
        run_id: The flow run's id; empty for what is recorded outside of all runs.
        flow: The flow's name, an additional tag of what is exported.
        folder: Where other processes of this machine leave what they record for this run.
        journal: This process is one of those; it writes down here what it records.
    """

    def __init__(
        self,
        run_id: str = "",
        flow: str = "",
        folder: Path | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.run_id = run_id
        self.flow = flow
        self.folder = folder
        self.bridge: Bridge | None = None
        self._start(journal)

    def _start(self, journal: Journal | None) -> None:
        self.closed = False
        # What the last calls were answered, by their own arguments: the way of nearly all calls.
        self.known: dict[Key, Record] = {}
        self._metrics: dict[str, Metric] = {}
        self._series: dict[str, dict[Tags, Series]] = {}
        self._warned: set[str] = set()
        self._lock = RLock()
        self._journal = journal
        self._read: dict[Path, JournalFile] = {}

    def become_foreign(self) -> None:
        """Go on in a process that was forked from the run's: what it records is handed over."""
        self.bridge = None
        self._start(Journal(JournalWriter(self.folder).write) if self.folder else None)

    def recorder(
        self,
        kind: Kind,
        name: str,
        tags: Mapping[str, Any] | None = None,
        *,
        unit: str | None = None,
        buckets: tuple[float, ...] | None = None,
        description: str = "",
    ) -> Record:
        """The place that takes the values of a metric with these tags.

        Raises:
            ConfigError: Name, unit or a tag is none; or the run has another metric of this name.
        """
        full = metric_name(name, kind, unit)
        clean = clean_tags(full, tags)
        with self._lock:
            known = self._metrics.get(full)
            if known is not None and known.kind == kind and buckets is None:
                metric = known
            else:
                bounds = _bounds(full, kind, buckets)
                metric = Metric(full, kind, unit_of(full), description, bounds)
            series, folded = self._find(metric, clean)
        record = series.record
        # What is folded is not remembered: memory would grow with the number of tags after all.
        if tags is None:
            self.known[(kind, name, unit, ())] = record
        elif not folded and all(type(value) is str for value in tags.values()):
            self.known[(kind, name, unit, tuple(tags.items()))] = record
        return record

    def _find(self, metric: Metric, tags: Tags) -> tuple[Series, bool]:
        known = self._metrics.get(metric.name)
        if known is None:
            self._check_samples(metric)
            if len(self._metrics) >= METRICS_LIMIT:
                return self._left_out(metric, tags), True
            known = self._metrics[metric.name] = metric
        elif known != metric:
            other = "with other buckets" if known.kind == metric.kind else f"as a {known.kind}"
            raise ConfigError(
                f"the metric {metric.name} exists already in this run, {other}",
                hint="Give one of the two another name.",
            )
        of_metric = self._series.setdefault(metric.name, {})
        if tags in of_metric:
            return of_metric[tags], False
        folded = len(of_metric) >= SERIES_LIMIT
        if folded:
            self._warn_once(
                metric.name,
                f"The metric {metric.name} has more than {SERIES_LIMIT} combinations of tags in "
                f"this run; further ones are counted together, with {OVERFLOW!r} as their value.",
            )
            tags = tuple((key, OVERFLOW) for key, _ in tags)
        if tags not in of_metric:
            of_metric[tags] = self._make(known, tags)
        return of_metric[tags], folded

    def _make(self, metric: Metric, tags: Tags) -> Series:
        if self._journal is not None:
            return self._journal.series(metric, tags)
        series = KINDS[metric.kind](metric, tags)
        self._connect(series)
        return series

    def _left_out(self, metric: Metric, tags: Tags) -> Series:
        self._warn_once(
            "", f"This run has {METRICS_LIMIT} metrics; {metric.name} and further ones are left out"
        )
        return KINDS[metric.kind](metric, tags)

    def _warn_once(self, key: str, message: str) -> None:
        if key not in self._warned:
            self._warned.add(key)
            logger.warning("%s", message)

    def _check_samples(self, metric: Metric) -> None:
        # A histogram x is exported as x_bucket, x_count and x_sum.
        for ending in _SAMPLES:
            whole = self._metrics.get(metric.name.removesuffix(ending))
            taken = whole is not None and metric.name.endswith(ending)
            if taken and whole is not None and whole.kind == "histogram":
                raise ConfigError(
                    f"the metric {metric.name} cannot be: {whole.name} is a histogram, whose own "
                    f"{ending} it would be in Prometheus"
                )
            if metric.kind == "histogram" and metric.name + ending in self._metrics:
                raise ConfigError(
                    f"the histogram {metric.name} cannot be: there is a metric {metric.name}"
                    f"{ending}, which would be its own in Prometheus"
                )

    def _connect(self, series: Series) -> None:
        if self.bridge is None:
            return
        if self.flow and "flow" not in series.labels:
            series.labels = {**series.labels, "flow": self.flow}
        series.forward = self.bridge.forward(series.metric)

    def export_through(self, bridge: Bridge | None) -> None:
        """Hand on all values from now on."""
        with self._lock:
            self.bridge = bridge
            for of_metric in self._series.values():
                for series in of_metric.values():
                    series.forward = None
                    self._connect(series)

    def collect(self) -> None:
        """Record what other processes of this machine left for this run since the last time."""
        if self.folder is None or self._journal is not None:
            return
        with self._lock:
            for path in sorted(self.folder.glob(f"*{SUFFIX}")):
                lines = self._read.setdefault(path, JournalFile(path)).new_lines()
                for metric, tags, value, at in lines:
                    self.take(metric, tags, value, at)

    def take(self, metric: Metric, tags: Tags, value: float, at: float) -> None:
        """Record a value of another process."""
        try:
            with self._lock:
                series, _ = self._find(metric, tags)
        except ConfigError as error:
            self._warn_once(f"{metric.kind} {metric.name}", error.message)
        else:
            series.record(value, at)

    def as_list(self) -> list[dict[str, Any]]:
        """All series with their values, as JSON values, in the order of their names."""
        with self._lock:
            found = [of_metric[tags] for of_metric in self._series.values() for tags in of_metric]
        found.sort(key=lambda series: (series.metric.name, series.tags))
        return [series.as_dict() for series in found if series.time]

    def restore(self, values: Iterable[Mapping[str, Any]]) -> None:
        """Go on from what :meth:`as_list` gave, in an earlier attempt of the run."""
        with self._lock:
            for value in values:
                buckets = tuple(value.get("buckets", ()))
                metric = Metric(value["name"], value["kind"], value["unit"], buckets=buckets)
                series, _ = self._find(metric, tuple(sorted(value["tags"].items())))
                series.restore(value)


def _bounds(name: str, kind: Kind, buckets: tuple[float, ...] | None) -> tuple[float, ...]:
    if kind != "histogram":
        return ()
    if buckets is None:
        return SECONDS_BUCKETS if unit_of(name) == "s" else OTHER_BUCKETS
    bounds = tuple(map(float, buckets))
    if not bounds or list(bounds) != sorted(set(bounds)):
        raise ConfigError(
            f"the buckets of {name} are not rising: {buckets}", hint="Give upper bounds, rising."
        )
    return bounds
