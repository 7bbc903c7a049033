"""Transformations in PostgreSQL: what a text reads, how it is run, how its table is published."""

from __future__ import annotations

from prefect_etl.connectors.postgres.transforms.tables import PostgresTransforms

__all__ = ["PostgresTransforms"]
