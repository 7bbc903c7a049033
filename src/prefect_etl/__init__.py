"""ETL on Prefect 3: exactly-once, fast, observable, and still plain Prefect to read.

The names below are imported when they are first used, so that ``import prefect_etl`` costs nothing.
``Task``, ``task_input_hash`` and ``PrefectException`` are Prefect's own.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.exceptions import PrefectException
    from prefect.tasks import Task, task_input_hash

    from prefect_etl.api import Pipeline
    from prefect_etl.core.contract import Contract
    from prefect_etl.core.fingerprint import FingerprintError, fingerprint
    from prefect_etl.core.retry import RetryPolicy, exponential_backoff
    from prefect_etl.errors import (
        ConfigError,
        DataError,
        EtlError,
        Fatal,
        PartitionsFailedError,
        Retriable,
    )
    from prefect_etl.orchestration.caching.frame_inputs import FrameInputs
    from prefect_etl.orchestration.checking import check
    from prefect_etl.orchestration.decorators import flow, task
    from prefect_etl.orchestration.metrics import MetricsRecord, metrics, read_metrics
    from prefect_etl.orchestration.partitions import (
        PartitionResult,
        PartitionResults,
        map_partitions,
    )
    from prefect_etl.orchestration.resources import shared
    from prefect_etl.orchestration.routing.by_size import route_by_size
    from prefect_etl.orchestration.routing.reference import FrameReference
    from prefect_etl.orchestration.validation import DataValidationError, handle_validation_error
    from prefect_etl.pipeline.reading import read
    from prefect_etl.utils.database import (
        DatabaseConnection,
        DatabasePool,
        create_connection,
        create_pool,
    )
    from prefect_etl.utils.resources import ResourceManager, resource
    from prefect_etl.utils.validation import Failure

_HOMES = {
    "ConfigError": "prefect_etl.errors",
    "Contract": "prefect_etl.core.contract",
    "DataError": "prefect_etl.errors",
    "DataValidationError": "prefect_etl.orchestration.validation",
    "DatabaseConnection": "prefect_etl.utils.database",
    "DatabasePool": "prefect_etl.utils.database",
    "EtlError": "prefect_etl.errors",
    "Failure": "prefect_etl.utils.validation",
    "Fatal": "prefect_etl.errors",
    "FingerprintError": "prefect_etl.core.fingerprint",
    "FrameInputs": "prefect_etl.orchestration.caching.frame_inputs",
    "FrameReference": "prefect_etl.orchestration.routing.reference",
    "MetricsRecord": "prefect_etl.orchestration.metrics",
    "PartitionResult": "prefect_etl.orchestration.partitions",
    "PartitionResults": "prefect_etl.orchestration.partitions",
    "PartitionsFailedError": "prefect_etl.errors",
    "Pipeline": "prefect_etl.api",
    "PrefectException": "prefect.exceptions",
    "ResourceManager": "prefect_etl.utils.resources",
    "Retriable": "prefect_etl.errors",
    "RetryPolicy": "prefect_etl.core.retry",
    "Task": "prefect.tasks",
    "check": "prefect_etl.orchestration.checking",
    "copy_table": "prefect_etl.tasks.copying",
    "create_connection": "prefect_etl.utils.database",
    "create_pool": "prefect_etl.utils.database",
    "exponential_backoff": "prefect_etl.core.retry",
    "fingerprint": "prefect_etl.core.fingerprint",
    "flow": "prefect_etl.orchestration.decorators",
    "handle_validation_error": "prefect_etl.orchestration.validation",
    "map_partitions": "prefect_etl.orchestration.partitions",
    "metrics": "prefect_etl.orchestration.metrics",
    "read": "prefect_etl.pipeline.reading",
    "read_metrics": "prefect_etl.orchestration.metrics",
    "resource": "prefect_etl.utils.resources",
    "route_by_size": "prefect_etl.orchestration.routing.by_size",
    "shared": "prefect_etl.orchestration.resources",
    "task": "prefect_etl.orchestration.decorators",
    "task_input_hash": "prefect.tasks",
}

__all__ = [
    "ConfigError",
    "Contract",
    "DataError",
    "DataValidationError",
    "DatabaseConnection",
    "DatabasePool",
    "EtlError",
    "Failure",
    "Fatal",
    "FingerprintError",
    "FrameInputs",
    "FrameReference",
    "MetricsRecord",
    "PartitionResult",
    "PartitionResults",
    "PartitionsFailedError",
    "Pipeline",
    "PrefectException",
    "ResourceManager",
    "Retriable",
    "RetryPolicy",
    "Task",
    "check",
    "copy_table",
    "create_connection",
    "create_pool",
    "exponential_backoff",
    "fingerprint",
    "flow",
    "handle_validation_error",
    "map_partitions",
    "metrics",
    "read",
    "read_metrics",
    "resource",
    "route_by_size",
    "shared",
    "task",
    "task_input_hash",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
