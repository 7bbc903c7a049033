"""How a transformation's result becomes a table or view of a DuckDB file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prefect_etl.connectors.duckdb.alter import alter
from prefect_etl.connectors.transforming import Publication
from prefect_etl.core.schema import UNKNOWN, Evolution, TableSchema, evolve
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.warehouse import Snapshot, TableRef
from prefect_etl.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    import duckdb


def write(
    cursor: duckdb.DuckDBPyConnection, publication: Publication, before: Snapshot
) -> tuple[TableSchema, int | None]:
    """Write a staged result in the open transaction.

    Args:
        cursor: The database is attached for writing and in use.
        publication: What is to be written.
        before: What the database holds.

    Returns:
        The columns and the number of rows of the table; None for a view.

    Raises:
        SchemaError: An incremental result does not fit its table.
        ConfigError: A view would read other tables than were meant.
    """
    table = publication.table
    name = qualified(table.schema, table.name)
    wanted = "view" if publication.kind == "view" else "table"
    present = before.tables.get(table)
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(table.schema)}")
    if present is not None and present != wanted:
        cursor.execute(f"DROP {present.upper()} {name}")
    if publication.view is not None:
        _assert_unambiguous(publication, before)
        cursor.execute(f"CREATE OR REPLACE VIEW {name} AS {publication.view.sql}")
        return publication.staged.columns, None
    state = before.transformations.get(table)
    was_incremental = state is not None and state.kind == "incremental"
    merged = publication.kind == "incremental" and was_incremental and present == "table"
    if merged and not publication.refresh:
        return _merge(cursor, publication, name)
    return _replace(cursor, publication, name)


def _assert_unambiguous(publication: Publication, before: Snapshot) -> None:
    """DuckDB looks for a view's unqualified names in the view's own schema first."""
    if publication.view is None:
        return
    for read in publication.view.bare:
        nearer = TableRef(publication.table.schema, read.name)
        if nearer != read and nearer in before.tables:
            raise ConfigError(
                f"{publication.name}: the view would read {nearer} where its SQL says {read.name}",
                hint=f"Write {read} or {nearer} in its SQL.",
            )


def _replace(
    cursor: duckdb.DuckDBPyConnection, publication: Publication, name: str
) -> tuple[TableSchema, int]:
    columns = evolve(None, publication.staged.columns).schema
    unknown = {column.name for column in publication.staged.columns if column.type == UNKNOWN}
    selected = ", ".join(
        f"CAST({identifier(c.name)} AS {c.type}) AS {identifier(c.name)}"
        if c.name in unknown
        else identifier(c.name)
        for c in columns
    )
    row = cursor.execute(
        f"CREATE OR REPLACE TABLE {name} AS SELECT {selected} FROM {publication.staged.relation}"
    ).fetchone()
    return columns, int(row[0]) if row else 0


def _merge(
    cursor: duckdb.DuckDBPyConnection, publication: Publication, name: str
) -> tuple[TableSchema, int]:
    """Replace the rows of the result's keys; rows of other keys stay."""
    evolution = _evolution(publication, _columns(cursor, publication.table))
    hint = "Cast the column in the transformation."
    alter(cursor, name, evolution, publication.name, hint)
    stage = publication.staged.relation
    same = " AND ".join(f"t.{identifier(k)} = s.{identifier(k)}" for k in publication.key)
    cursor.execute(f"DELETE FROM {name} t USING {stage} s WHERE {same}")
    given = [evolution.schema[column.name] for column in publication.staged.columns]
    names = ", ".join(identifier(column.name) for column in given)
    values = ", ".join(f"CAST({identifier(c.name)} AS {c.type})" for c in given)
    cursor.execute(f"INSERT INTO {name} ({names}) SELECT {values} FROM {stage}")
    row = cursor.execute(f"SELECT count(*) FROM {name}").fetchone()
    return evolution.schema, int(row[0]) if row else 0


def _columns(cursor: duckdb.DuckDBPyConnection, table: TableRef) -> TableSchema:
    rows = cursor.execute(f"DESCRIBE {qualified(table.schema, table.name)}").fetchall()
    return TableSchema.from_pairs((name, kind) for name, kind, *_ in rows)


def _evolution(publication: Publication, present: TableSchema) -> Evolution:
    try:
        return evolve(present, publication.staged.columns, dataset=publication.name)
    except SchemaError as error:
        raise SchemaError(
            error.message,
            hint="Cast the column in the transformation, or build its table anew with "
            "--full-refresh.",
        ) from error
