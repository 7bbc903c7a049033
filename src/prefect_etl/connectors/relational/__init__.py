"""What sources with tables and SQL share: what a user says of them, and how they are planned."""

from __future__ import annotations

from prefect_etl.connectors.relational.dataset import DatabaseDataset
from prefect_etl.connectors.relational.planning import Planner, divided, ranged
from prefect_etl.connectors.relational.probe import CursorKind, Probe, Ranges, cursor_kind
from prefect_etl.connectors.relational.query import with_values
from prefect_etl.connectors.relational.reading import digest_of, part, whole, within

__all__ = [
    "CursorKind",
    "DatabaseDataset",
    "Planner",
    "Probe",
    "Ranges",
    "cursor_kind",
    "digest_of",
    "divided",
    "part",
    "ranged",
    "whole",
    "with_values",
    "within",
]
