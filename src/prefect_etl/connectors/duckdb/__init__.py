"""DuckDB: a database file as source, as destination, and as the place of transformations."""

from __future__ import annotations

from prefect_etl.connectors.duckdb.destination import (
    CONNECTOR,
    DuckDBConnection,
    DuckDBDestination,
)
from prefect_etl.connectors.duckdb.source import DuckDBDataset, DuckDBSource
from prefect_etl.connectors.duckdb.transform import DuckDBTransforms

__all__ = [
    "CONNECTOR",
    "DuckDBConnection",
    "DuckDBDataset",
    "DuckDBDestination",
    "DuckDBSource",
    "DuckDBTransforms",
]
