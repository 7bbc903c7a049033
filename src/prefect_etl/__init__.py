"""ETL on Prefect 3: exactly-once, fast, observable, and still plain Prefect to read.

The names below are imported when they are first used, so that ``import prefect_etl`` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect_etl.api import Pipeline
    from prefect_etl.errors import (
        ConfigError,
        DataError,
        EtlError,
        Fatal,
        Retriable,
    )
    from prefect_etl.orchestration.decorators import flow, task

_HOMES = {
    "ConfigError": "prefect_etl.errors",
    "DataError": "prefect_etl.errors",
    "EtlError": "prefect_etl.errors",
    "Fatal": "prefect_etl.errors",
    "Pipeline": "prefect_etl.api",
    "Retriable": "prefect_etl.errors",
    "flow": "prefect_etl.orchestration.decorators",
    "task": "prefect_etl.orchestration.decorators",
}

__all__ = [
    "ConfigError",
    "DataError",
    "EtlError",
    "Fatal",
    "Pipeline",
    "Retriable",
    "flow",
    "task",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
