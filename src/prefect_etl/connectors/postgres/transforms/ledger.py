"""The ledger of transformations in PostgreSQL, written in the transaction of their tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import ledger
from prefect_etl.connectors.postgres.ledger import SCHEMA
from prefect_etl.connectors.transforming import Publication
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.warehouse import (
    DatasetTable,
    Read,
    Snapshot,
    TableKind,
    TableRef,
    TableVersion,
    TransformationState,
)

if TYPE_CHECKING:
    import psycopg

_TABLE = f"{SCHEMA}.transformations"
_DDL = f"""
CREATE TABLE IF NOT EXISTS {_TABLE} (
    pipeline text NOT NULL, name text NOT NULL,
    table_schema text NOT NULL, table_name text NOT NULL, kind text NOT NULL,
    fingerprint json NOT NULL, reads json NOT NULL,
    version bigint NOT NULL, history text NOT NULL,
    columns json NOT NULL, row_count bigint, run_id text NOT NULL,
    built_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name)
)
"""
_THIS = "table_schema = %s AND table_name = %s"
_RELATIONS = r"""
SELECT n.nspname::text, c.relname::text,
    CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema'
AND n.nspname NOT LIKE 'pg\_%'
"""


def create_ledger(connection: psycopg.Connection[Any]) -> None:
    """Make the ledger's table where it is missing, in a transaction of its own."""
    ledger.create_ledger(connection)
    if _exists(connection):
        return
    with connection.transaction():
        # Two runs that both find nothing would break each other's CREATE … IF NOT EXISTS.
        ledger.lock(connection, (SCHEMA, "transformations"))
        connection.execute(_DDL.encode())


def _exists(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (_TABLE,)).fetchone()
    return row is not None and bool(row[0])


def read_snapshot(connection: psycopg.Connection[Any]) -> Snapshot:
    """What the database holds, as the transaction sees it."""
    rows = connection.execute(_RELATIONS.encode()).fetchall()
    own = {name for schema, name, _ in rows if schema == SCHEMA}
    tables: dict[TableRef, TableKind] = {
        TableRef(schema, name): kind for schema, name, kind in rows if schema != SCHEMA
    }
    return Snapshot(
        tables=tables,
        datasets=_datasets(connection) if "tables" in own else {},
        transformations=_transformations(connection) if "transformations" in own else {},
    )


def _datasets(connection: psycopg.Connection[Any]) -> dict[TableRef, DatasetTable]:
    rows = connection.execute(
        "SELECT table_schema, table_name, pipeline, dataset, version, lineage "
        f"FROM {SCHEMA}.tables".encode()
    ).fetchall()
    return {
        TableRef(schema, name): DatasetTable(pipeline, dataset, TableVersion(version, lineage))
        for schema, name, pipeline, dataset, version, lineage in rows
    }


def _transformations(connection: psycopg.Connection[Any]) -> dict[TableRef, TransformationState]:
    rows = connection.execute(
        "SELECT pipeline, name, table_schema, table_name, kind, fingerprint, reads, version, "
        f"history, columns, row_count FROM {_TABLE}".encode()
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
        fingerprint=fingerprint,
        reads=tuple(_read(part) for part in reads),
        version=TableVersion(version, history),
        columns=TableSchema.from_pairs((name, kind) for name, kind in columns),
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
    connection: psycopg.Connection[Any],
    publication: Publication,
    version: TableVersion,
    columns: TableSchema,
    rows: int | None,
) -> None:
    """Write what was published, in the transaction of its table."""
    table = publication.table
    connection.execute(
        f"DELETE FROM {_TABLE} WHERE lower(table_schema) = lower(%s) "
        "AND lower(table_name) = lower(%s)".encode(),
        (table.schema, table.name),
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
    connection.execute(
        f"INSERT INTO {_TABLE} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})".encode(),
        list(row.values()),
    )


def is_published(
    connection: psycopg.Connection[Any], publication: Publication, version: TableVersion
) -> bool:
    """Whether this very result is in the ledger."""
    row = connection.execute(
        f"SELECT 1 FROM {_TABLE} WHERE {_THIS} AND version = %s AND history = %s "
        "AND run_id = %s".encode(),
        (
            publication.table.schema,
            publication.table.name,
            version.number,
            version.history,
            publication.run_id,
        ),
    ).fetchone()
    return row is not None
