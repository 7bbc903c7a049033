"""Memory: tables of this process, the reference that other destinations are compared with."""

from __future__ import annotations

from prefect_etl.connectors.memory.connector import (
    CONNECTOR,
    MemoryConnection,
    MemoryDataset,
    MemoryDestination,
    MemorySource,
    store,
)

__all__ = [
    "CONNECTOR",
    "MemoryConnection",
    "MemoryDataset",
    "MemoryDestination",
    "MemorySource",
    "store",
]
