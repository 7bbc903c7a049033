"""What users call: ``metrics.timer``, ``gauge``, ``counter`` and ``histogram``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from prefect_etl.errors import ConfigError
from prefect_etl.utils.metrics import scopes
from prefect_etl.utils.metrics.names import Kind
from prefect_etl.utils.metrics.runs import Record
from prefect_etl.utils.metrics.timer import Timer

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

TagsGiven = Mapping[str, Any] | None


class Metrics:
    """Values of your own, kept with the flow run and exported where that is configured.

    May be called from any thread, task or process of a run, in plain Prefect flows, too, and
    outside of all flows. A call takes a few microseconds and never waits for a backend.

    Names get Prometheus' endings: a timer's ``_seconds``, a counter's ``_total``. A name, unit or
    tag that is wrong is an error; a value that is no finite number is left out with a warning.

    Example:
        >>> with metrics.timer("processing_time"):
        ...     result = [1, 2, 3]
        >>> metrics.gauge("records_processed", len(result), tags={"environment": "production"})
    """

    def timer(self, name: str, tags: TagsGiven = None, *, description: str = "") -> Timer:
        """Measure a block or a function, in seconds; also when it raises.

        Args:
            name: The histogram's name, without or with ``_seconds``.
            tags: Name: value, of the same few values again and again.
            description: For people.

        Raises:
            ConfigError: Name or a tag cannot be, or the run has another metric of this name.

        Example:
            >>> @metrics.timer("cleaning")
            ... async def clean(rows: list[int]) -> list[int]:
            ...     return sorted(rows)
        """
        return Timer(
            partial(self._recorder, "histogram", name, tags, "seconds", description=description)
        )

    def gauge(
        self,
        name: str,
        value: float,
        tags: TagsGiven = None,
        *,
        unit: str | None = None,
        description: str = "",
    ) -> None:
        """Say how much there is now; the last value counts.

        Args:
            name: The gauge's name.
            value: Any finite number.
            tags: Name: value, of the same few values again and again.
            unit: ``seconds``, ``bytes`` or ``ratio``; becomes the name's ending.
            description: For people.

        Raises:
            ConfigError: Name, unit or a tag cannot be, or the run has another metric of this name.

        Example:
            >>> metrics.gauge("queue_length", 12, tags={"queue": "orders"})
        """
        _give(self._recorder("gauge", name, tags, unit, description=description), name, value)

    def counter(
        self,
        name: str,
        value: float = 1,
        tags: TagsGiven = None,
        *,
        unit: str | None = None,
        description: str = "",
    ) -> None:
        """Add to a sum that only grows.

        Args:
            name: The counter's name, without or with ``_total``.
            value: How many more; not below zero.
            tags: Name: value, of the same few values again and again.
            unit: ``seconds``, ``bytes`` or ``ratio``; becomes part of the name.
            description: For people.

        Raises:
            ConfigError: Name, unit or a tag cannot be, or the run has another metric of this name.

        Example:
            >>> metrics.counter("rows_rejected", 3, tags={"reason": "no key"})
        """
        _give(self._recorder("counter", name, tags, unit, description=description), name, value)

    def histogram(
        self,
        name: str,
        value: float,
        tags: TagsGiven = None,
        *,
        unit: str | None = None,
        buckets: Sequence[float] | None = None,
        description: str = "",
    ) -> None:
        """Take one of many values, of which number, sum, least, greatest and spread are kept.

        Args:
            name: The histogram's name.
            value: Any finite number.
            tags: Name: value, of the same few values again and again.
            unit: ``seconds``, ``bytes`` or ``ratio``; becomes the name's ending.
            buckets: Upper bounds, rising; for seconds 5 ms to 4 h, else powers of ten.
            description: For people.

        Raises:
            ConfigError: Name, unit or a tag cannot be, or the run has another metric of this name.

        Example:
            >>> metrics.histogram("file_size", 4096, unit="bytes")
        """
        bounds = None if buckets is None else tuple(buckets)
        _give(
            self._recorder("histogram", name, tags, unit, description=description, buckets=bounds),
            name,
            value,
        )

    def export_to(self, provider: MeterProvider | None) -> None:
        """Export this process' metrics through a meter provider of your own.

        It takes the place of the one that the settings make, and may be the global one. You shut it
        down yourself.

        Args:
            provider: Of OpenTelemetry; None to export nothing more.

        Example:
            >>> from opentelemetry.sdk.metrics import MeterProvider
            >>> from opentelemetry.sdk.metrics.export import InMemoryMetricReader
            >>> reader = InMemoryMetricReader()
            >>> metrics.export_to(MeterProvider([reader], shutdown_on_exit=False))
            >>> metrics.counter("files_seen")
            >>> found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
            >>> [metric.name for metric in found]
            ['files_seen']
            >>> metrics.export_to(None)
        """
        from prefect_etl.utils.metrics.bridge import Bridge

        scopes.export_through(None if provider is None else Bridge(provider), by_user=True)

    def _recorder(
        self,
        kind: Kind,
        name: str,
        tags: TagsGiven,
        unit: str | None,
        *,
        description: str = "",
        buckets: tuple[float, ...] | None = None,
    ) -> Record:
        run = scopes.current()
        try:
            record = run.known.get((kind, name, unit, tuple(tags.items()) if tags else ()))
        except (TypeError, AttributeError):  # a tag's value that cannot be a key, or no mapping
            record = None
        # A histogram's own bounds are compared with those that it has.
        if record is None or buckets is not None:
            record = run.recorder(
                kind, name, tags, unit=unit, buckets=buckets, description=description
            )
        return record


def _give(record: Record, name: str, value: float) -> None:
    try:
        record(value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the metric {name} takes a number, not {value!r:.100}") from error


metrics = Metrics()
