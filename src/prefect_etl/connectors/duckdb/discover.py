"""What a DuckDB file has: tables and views, their columns, keys and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from prefect_etl.connectors.base import FoundTable
from prefect_etl.core.schema import TableSchema
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import ConfigError

# The ledger's schema, and DuckDB's own.
_OURS = "_prefect_etl"
_RELATIONS = """
SELECT schema_name, table_name, 'table', estimated_size FROM duckdb_tables()
WHERE database_name = current_database() AND NOT internal
UNION ALL SELECT schema_name, view_name, 'view', NULL FROM duckdb_views()
WHERE database_name = current_database() AND NOT internal
ORDER BY ALL
"""
_COLUMNS = """
SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns()
WHERE database_name = current_database() AND NOT internal
ORDER BY schema_name, table_name, column_index
"""
_KEYS = """
SELECT schema_name, table_name, constraint_column_names FROM duckdb_constraints()
WHERE database_name = current_database() AND constraint_type = 'PRIMARY KEY'
"""


class _File(Protocol):
    @property
    def path(self) -> Path: ...


def discover(config: _File, session: Session) -> list[FoundTable]:
    """All tables and views of the file, with row estimates of tables.

    Raises:
        ConfigError: There is no such file.
        BusyError: Another process writes it.
    """
    _assert_there(config)
    with session.attached(config.path, read_only=True) as cursor:
        relations = cursor.execute(_RELATIONS).fetchall()
        columns = cursor.execute(_COLUMNS).fetchall()
        keys = {(row[0], row[1]): tuple(row[2]) for row in cursor.execute(_KEYS).fetchall()}
    return [
        FoundTable(schema, name, kind, _schema(columns, (schema, name)), key, rows)
        for schema, name, kind, rows in relations
        if schema != _OURS
        for key in [keys.get((schema, name), ())]
    ]


def _schema(columns: Sequence[tuple[str, ...]], table: tuple[str, str]) -> TableSchema:
    return TableSchema.from_pairs(
        (name, kind) for schema, of, name, kind in columns if (schema, of) == table
    )


def described(config: _File) -> str:
    """To what a connection leads: ``DuckDB v1.5.0, file /data/w.duckdb, 12 MB``.

    Raises:
        ConfigError: There is no such file.
        BusyError: Another process writes it.
        StorageError: It is no DuckDB file.
    """
    import duckdb

    _assert_there(config)
    try:
        duckdb.connect(str(config.path), read_only=True).close()
    except duckdb.Error as error:
        raise storage_error(error, str(config.path)) from error
    megabytes = config.path.stat().st_size / 1e6
    return f"DuckDB {duckdb.__version__}, file {config.path}, {megabytes:.1f} MB"


def _assert_there(config: _File) -> None:
    if not config.path.exists():
        raise ConfigError(
            f"there is no DuckDB file {config.path}",
            hint="Check the path; it is made when something is first written to it.",
        )
