"""Metrics of flow runs: which run a value belongs to, what is kept of a run, and where it is shown.

Importing this imports neither Prefect nor OpenTelemetry.
"""

from typing import TYPE_CHECKING, Any

from prefect_etl.orchestration.metrics.whereabouts import find
from prefect_etl.utils.metrics import Metrics, metrics
from prefect_etl.utils.metrics.scopes import find_by

if TYPE_CHECKING:
    from prefect_etl.orchestration.metrics.record import MetricsRecord, read_metrics

__all__ = ["Metrics", "MetricsRecord", "metrics", "read_metrics"]

find_by(find)


def __getattr__(name: str) -> Any:
    # Most programs that record metrics read none.
    if name not in {"MetricsRecord", "read_metrics"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from prefect_etl.orchestration.metrics import record

    return getattr(record, name)
