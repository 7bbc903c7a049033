"""Where metrics go as they are recorded: a Prometheus endpoint, an OpenTelemetry collector.

Neither is waited for. A collector that is away costs one warning; at the end of the process it has
two seconds.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from prefect_etl.config.settings import Settings
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.metrics.password import guarded
from prefect_etl.utils.metrics import scopes

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricReader

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PATH = "/v1/metrics"
_LAST_SECONDS = 2.0
_started = threading.Lock()
_exporting = threading.local()
_unsent = threading.Event()
_addresses: list[str] = []


def start_exporters(settings: Settings) -> None:
    """Export what this process records as the settings say; once a process.

    Raises:
        ConfigError: A collector is set, and what talks to it is not installed.
    """
    if not _started.acquire(blocking=False):
        return
    if scopes.exports_are_chosen():
        return
    try:
        readers = [*_prometheus(settings), *_otlp(settings)]
    except ConfigError:
        _started.release()
        raise
    if readers:
        _export_through(readers)


def endpoint() -> str | None:
    """The address of this process' Prometheus endpoint, if it has one."""
    return _addresses[0] if _addresses else None


def _export_through(readers: list[MetricReader]) -> None:
    from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
    from opentelemetry.sdk.resources import Resource

    from prefect_etl.utils.metrics.bridge import Bridge

    known = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if known else {"service.name": "prefect_etl"})
    # There are no spans to point at; each call would look for one.
    provider = MeterProvider(readers, resource, AlwaysOffExemplarFilter(), shutdown_on_exit=False)
    scopes.export_through(Bridge(provider))
    atexit.register(_stop, provider, os.getpid())


def _stop(provider: MeterProvider, process: int) -> None:
    if os.getpid() != process:  # a fork exports nothing
        return
    try:
        provider.shutdown(timeout_millis=_LAST_SECONDS * 1000)
    except Exception as error:  # noqa: BLE001 - an exporter's own; the process ends well without
        logger.debug("the last metrics were not exported: %s", error)
    if _unsent.is_set():
        logger.warning("The OpenTelemetry collector did not take the last metrics.")


def _prometheus(settings: Settings) -> list[MetricReader]:
    if settings.metrics_port is None:
        return []
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import CollectorRegistry, make_wsgi_app, start_http_server

    registry = CollectorRegistry()
    address, port = settings.metrics_address, settings.metrics_port
    try:
        server, _ = start_http_server(port, address, registry)
    except OSError as error:
        logger.warning(
            "There is no Prometheus endpoint at %s:%s: %s. The run goes on without.",
            *(address, port, error.strerror or error),
        )
        return []
    if settings.metrics_password is not None:
        # Before there is anything to be read: the registry is empty until a reader has it.
        server.set_app(guarded(make_wsgi_app(registry), settings.metrics_password))
    atexit.register(server.server_close)
    shown = f"[{address}]" if ":" in address else address
    _addresses[:] = [f"http://{shown}:{server.server_port}/metrics"]
    logger.info("Prometheus endpoint: %s", endpoint())
    return [PrometheusMetricReader(registry=registry, scope_info_enabled=False)]


def _otlp(settings: Settings) -> list[MetricReader]:
    variables = [name for name in _ENDPOINTS if os.environ.get(name)]
    if os.environ.get("OTEL_METRICS_EXPORTER") == "none":
        variables = []
    if not settings.otlp_endpoint and not variables:
        return []
    try:
        exporter = _patient_exporter()(endpoint=_full(settings.otlp_endpoint))
    except ImportError as error:
        message = "metrics cannot be sent to an OpenTelemetry collector: no exporter is installed"
        hint = "pip install prefect-etl[otlp]"
        if settings.otlp_endpoint:
            raise ConfigError(message, hint=hint) from error
        # The variable may be meant for other programs of the machine.
        logger.warning("%s is set, but %s: %s", variables[0], message, hint)
        return []
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return [PeriodicExportingMetricReader(exporter)]


def _full(base: str | None) -> str | None:
    """The address for metrics under a collector's base URL; None leaves it to the environment."""
    if base is None or base.rstrip("/").endswith(_PATH):
        return base
    return base.rstrip("/") + _PATH


@cache
def _patient_exporter() -> type[OTLPMetricExporter]:
    from opentelemetry.exporter.otlp.proto.http import metric_exporter
    from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

    class PatientExporter(metric_exporter.OTLPMetricExporter):
        """Says once that the collector is away, and once that it is back."""

        process = os.getpid()
        away = False

        def export(
            self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
        ) -> MetricExportResult:
            """Send the metrics; the thread that does has nothing else to do."""
            if os.getpid() != self.process:  # its parent exports, a fork's copy would be stale
                return MetricExportResult.SUCCESS
            _exporting.now = True
            _unsent.set()
            try:
                result = super().export(metrics_data, timeout_millis, **kwargs)
            finally:
                _exporting.now = False
            self._tell(away=result is not MetricExportResult.SUCCESS)
            return result

        def _tell(self, *, away: bool) -> None:
            if not away:
                _unsent.clear()
            if away and not self.away:
                logger.warning("The OpenTelemetry collector does not take metrics now.")
            elif self.away and not away:
                logger.warning("The OpenTelemetry collector takes metrics again.")
            self.away = away

    # Its own lines, one an attempt, say no more than ours.
    logging.getLogger(metric_exporter.__name__).addFilter(
        lambda _: not getattr(_exporting, "now", False)
    )
    return PatientExporter
