"""How the connectors of this package are exercised; a new one adds its own here."""

from __future__ import annotations

from prefect_etl.connectors.base import Connector
from prefect_etl.testing.exercise import Exercise
from prefect_etl.testing.exercises.databases import (
    DuckDB,
    DuckDBQuery,
    MySql,
    MySqlQuery,
    Postgres,
    PostgresQuery,
    Sqlite,
    SqliteQuery,
)
from prefect_etl.testing.exercises.files import Arrow, Csv, JsonLines, Parquet, ParquetFolder
from prefect_etl.testing.exercises.inside import Memory, Python

_ALL: tuple[Exercise, ...] = (
    *(Csv(), JsonLines(), Parquet(), Arrow()),
    *(DuckDB(), DuckDBQuery()),
    ParquetFolder(),
    *(Postgres(), PostgresQuery()),
    *(Sqlite(), SqliteQuery()),
    *(MySql(), MySqlQuery()),
    Python(),
    Memory(),
)


def exercises_for(connector: Connector) -> list[Exercise]:
    """The exercises of a connector.

    Raises:
        LookupError: It has none, so nothing would test it.
    """
    found = [exercise for exercise in _ALL if exercise.scheme in connector.schemes]
    if not found:
        raise LookupError(
            f"connector {connector.name} has no exercise: add one to prefect_etl/testing/"
            "exercises, or test it in your own package as prefect_etl.testing describes"
        )
    return found
