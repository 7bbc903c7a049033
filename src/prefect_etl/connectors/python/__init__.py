"""Python: any function, generator or object that gives rows or frames, as a source."""

from __future__ import annotations

from prefect_etl.connectors.python.source import (
    CONNECTOR,
    PythonConnection,
    PythonDataset,
    PythonSource,
)

__all__ = ["CONNECTOR", "PythonConnection", "PythonDataset", "PythonSource"]
