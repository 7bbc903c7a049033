"""Metrics of flow runs: which run a value belongs to, what is kept of a run, and where it is shown.

Importing this imports neither Prefect nor OpenTelemetry.
"""

from prefect_etl.orchestration.metrics.record import MetricsRecord, read_metrics
from prefect_etl.orchestration.metrics.whereabouts import find
from prefect_etl.utils.metrics import Metrics, metrics
from prefect_etl.utils.metrics.scopes import find_by

__all__ = ["Metrics", "MetricsRecord", "metrics", "read_metrics"]

find_by(find)
