"""The ledger of transformations in a DuckDB file, written in the transaction of their tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.duckdb.ledger import SCHEMA
from prefect_etl.connectors.transforming import Publication
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal, literals
from prefect_etl.core.warehouse import (
    DatasetTable,
    Read,
    Snapshot,
    TableRef,
    TableVersion,
    TransformationState,
)

if TYPE_CHECKING:
    import duckdb

_TABLE = f"{SCHEMA}.transformations"
_DDL = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE TABLE IF NOT EXISTS {_TABLE} (
    pipeline VARCHAR NOT NULL, name VARCHAR NOT NULL,
    table_schema VARCHAR NOT NULL, table_name VARCHAR NOT NULL, kind VARCHAR NOT NULL,
    fingerprint JSON NOT NULL, reads JSON NOT NULL,
    version BIGINT NOT NULL, history VARCHAR NOT NULL,
    columns JSON NOT NULL, row_count BIGINT, run_id VARCHAR NOT NULL,
    built_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now()
);
"""


def create_ledger(cursor: duckdb.DuckDBPyConnection) -> None:
    """Make the ledger's table where it is missing."""
    cursor.execute(_DDL)


def read_snapshot(cursor: duckdb.DuckDBPyConnection) -> Snapshot:
    """What the database in use holds."""
    own, others = _split(cursor)
    return Snapshot(
        tables=others,
        datasets=_datasets(cursor) if "tables" in own else {},
        transformations=_transformations(cursor) if "transformations" in own else {},
    )


def _split(cursor: duckdb.DuckDBPyConnection) -> tuple[set[str], dict[TableRef, Any]]:
    rows = cursor.execute(
        "SELECT schema_name, table_name, 'table' FROM duckdb_tables() "
        "WHERE database_name = current_database() UNION ALL "
        "SELECT schema_name, view_name, 'view' FROM duckdb_views() "
        "WHERE database_name = current_database() AND NOT internal"
    ).fetchall()
    own = {name for schema, name, _ in rows if schema == SCHEMA}
    return own, {TableRef(s, n): kind for s, n, kind in rows if s != SCHEMA}


def _datasets(cursor: duckdb.DuckDBPyConnection) -> dict[TableRef, DatasetTable]:
    rows = cursor.execute(
        f"SELECT table_schema, table_name, pipeline, dataset, version, lineage FROM {SCHEMA}.tables"
    ).fetchall()
    return {
        TableRef(schema, name): DatasetTable(pipeline, dataset, TableVersion(version, lineage))
        for schema, name, pipeline, dataset, version, lineage in rows
    }


def _transformations(cursor: duckdb.DuckDBPyConnection) -> dict[TableRef, TransformationState]:
    rows = cursor.execute(
        "SELECT pipeline, name, table_schema, table_name, kind, fingerprint, reads, version, "
        f"history, columns, row_count FROM {_TABLE}"
    ).fetchall()
    states = [_state(row) for row in rows]
    return {state.table: state for state in states}


def _state(row: tuple[Any, ...]) -> TransformationState:
    pipeline, name, schema, table, kind, fingerprint, reads, version, history, columns, count = row
    return TransformationState(
        pipeline=pipeline,
        name=name,
        table=TableRef(schema, table),
        kind=kind,
        fingerprint=json.loads(fingerprint),
        reads=tuple(_read(part) for part in json.loads(reads)),
        version=TableVersion(version, history),
        columns=TableSchema.from_pairs((n, t) for n, t in json.loads(columns)),
        rows=count,
    )


def _read(part: dict[str, Any]) -> Read:
    version = None
    if part["version"] is not None:
        version = TableVersion(part["version"], part["history"])
    return Read(TableRef(part["schema"], part["table"]), version, part["argument"])


def _read_json(read: Read) -> dict[str, Any]:
    return {
        "schema": read.table.schema,
        "table": read.table.name,
        "version": read.version.number if read.version else None,
        "history": read.version.history if read.version else None,
        "argument": read.argument,
    }


def record(
    cursor: duckdb.DuckDBPyConnection,
    publication: Publication,
    version: TableVersion,
    columns: TableSchema,
    rows: int | None,
) -> None:
    """Write what was published, in the transaction of its table."""
    table = publication.table
    cursor.execute(
        f"DELETE FROM {_TABLE} WHERE lower(table_schema) = lower({literal(table.schema)}) "
        f"AND lower(table_name) = lower({literal(table.name)})"
    )
    row = {
        "pipeline": publication.pipeline,
        "name": publication.name,
        "table_schema": table.schema,
        "table_name": table.name,
        "kind": publication.kind,
        "fingerprint": json.dumps(dict(publication.fingerprint)),
        "reads": json.dumps([_read_json(read) for read in publication.reads]),
        "version": version.number,
        "history": version.history,
        "columns": json.dumps(columns.pairs()),
        "row_count": rows,
        "run_id": publication.run_id,
    }
    cursor.execute(f"INSERT INTO {_TABLE} ({', '.join(row)}) VALUES ({literals(row.values())})")
