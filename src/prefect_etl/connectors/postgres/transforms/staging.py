"""Tables as Arrow for Python functions, and what those give as a temporary table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import columns as outgoing
from prefect_etl.connectors.postgres.carrying import Carried, carried, declared_decimal, selection
from prefect_etl.connectors.postgres.copying import Into, copy_into, travelling
from prefect_etl.connectors.postgres.reading import arrow_stream
from prefect_etl.connectors.postgres.reflecting import Found, reflect
from prefect_etl.connectors.relational import DatabaseDataset
from prefect_etl.connectors.transforming import Staged
from prefect_etl.core.rows import STREAM, ArrowRows
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.warehouse import TableRef
from prefect_etl.engine.loading import STREAM_ROWS
from prefect_etl.errors import DataError, SchemaError

if TYPE_CHECKING:
    import duckdb
    import psycopg
    import pyarrow as pa

    from prefect_etl.connectors.postgres.connection import PostgresConnection
    from prefect_etl.engine.duckdb import Session

_RESULT = "the result"
_DIGITS = 38
_BIGINT = (-(2**63), 2**63 - 1)


def fetched(
    connection: psycopg.Connection[Any],
    database: PostgresConnection,
    session: Session,
    table: TableRef,
) -> Any:
    """A whole table as Arrow.

    Args:
        connection: In a transaction; what it sees is what is read.
        database: Where the table is.
        session: The engine that restores the types which Arrow, or the driver, carries as text.
        table: The table.
    """
    found = reflect(
        connection, DatabaseDataset.model_validate({"name": str(table), "table": str(table)})
    )
    moment = connection.execute("SELECT pg_export_snapshot()").fetchone()
    sent, restored = selection(_carried(connection, found))
    with (
        arrow_stream(
            database,
            session,
            f"SELECT {sent} FROM {found.selected}",
            what=f"table {table}",
            snapshot=str(moment[0]) if moment else None,
        ) as stream,
        session.cursor() as cursor,
        _streaming(cursor, stream),
    ):
        return cursor.execute(f"SELECT {restored} FROM {STREAM}").to_arrow_table()


def _carried(connection: psycopg.Connection[Any], found: Found) -> list[tuple[str, Carried]]:
    open_ended = [
        name
        for name, kind in found.columns
        if kind.builtin and kind.name == "numeric" and declared_decimal(kind.modifier) is None
    ]
    fitting = _fitting(connection, found.selected, open_ended)
    return [
        (name, fitting.get(name) or carried(name, kind, money_scale=found.money_scale))
        for name, kind in found.columns
    ]


def _fitting(
    connection: psycopg.Connection[Any], selected: str, columns: Sequence[str]
) -> Mapping[str, Carried]:
    """For numbers without a declared precision: the type that holds all of them exactly."""
    if not columns:
        return {}
    low, high = _BIGINT
    asked = []
    for name in map(identifier, columns):
        # The scale of NaN and of the infinities is null.
        digits = f"max(length(trunc(abs({name}))::text)) FILTER (WHERE scale({name}) IS NOT NULL)"
        numbers = f"bool_or(scale({name}) IS NULL) FILTER (WHERE {name} IS NOT NULL)"
        asked += [f"max(scale({name}))", digits, numbers]
        asked += [f"bool_and({name} BETWEEN {low} AND {high})"]
    row = connection.execute(f"SELECT {', '.join(asked)} FROM {selected}".encode()).fetchone() or ()
    facts = [row[start : start + 4] for start in range(0, len(row), 4)]
    kinds = {name: _kind(*fact) for name, fact in zip(columns, facts, strict=True)}
    return {name: _as(kind) for name, kind in kinds.items() if kind is not None}


def _kind(
    scale: int | None, digits: int | None, other: bool | None, fits: bool | None
) -> str | None:
    scale, digits = scale or 0, digits or 0
    if other or scale + digits > _DIGITS:
        return None
    return "BIGINT" if scale == 0 and fits is not False else f"DECIMAL({_DIGITS},{scale})"


def _as(kind: str) -> Carried:
    return Carried("{}::text", kind, f"CAST({{}} AS {kind})")


def copied(
    connection: psycopg.Connection[Any], session: Session, rows: ArrowRows, name: str
) -> Staged:
    """Copy rows of Arrow into a temporary table of that name.

    Raises:
        DataError: A value does not fit, or the stream fails.
        SchemaError: PostgreSQL has no type for a column.
    """
    import duckdb
    import pyarrow as pa

    relation = qualified("pg_temp", name)
    reader = rows.stream
    if not isinstance(reader, pa.RecordBatchReader):
        reader = pa.RecordBatchReader.from_stream(reader)
    result_columns([(name, "") for name in reader.schema.names])  # the engine renames one of two
    try:
        with session.cursor() as cursor, _streaming(cursor, reader):
            given = _columns(cursor, rows.select, reader.schema)
            travelled = [_travelling(column) for column in given]
            kinds = {column.name: column.kind for column in travelled}
            made = ", ".join(f"{identifier(column)} {kind}" for column, kind in kinds.items())
            connection.execute("BEGIN")
            connection.execute(f"CREATE TEMP TABLE {identifier(name)} ({made})".encode())
            cursor.execute("SET arrow_lossless_conversion = FALSE")
            batches = cursor.execute(travelling(rows.select, travelled)).to_arrow_reader(
                STREAM_ROWS
            )
            into = Into(relation, kinds, _RESULT, new=True)
            count = copy_into(connection, batches, travelled, into)
            connection.execute("COMMIT")
    except (duckdb.InterruptException, KeyboardInterrupt):
        raise
    except (duckdb.Error, pa.ArrowException) as error:
        said = str(error).strip().splitlines()[0]
        raise DataError(f"{_RESULT}: {said}", hint="Mend the value in the function.") from error
    connection.execute(f"ANALYZE {relation}".encode())
    columns = [
        Column(column.name, UNKNOWN if column.type == UNKNOWN else kinds[column.name])
        for column in given
    ]
    return Staged(relation, TableSchema(tuple(columns)), count)


def result_columns(pairs: Sequence[tuple[str, str]]) -> TableSchema:
    """The columns of a result.

    Raises:
        SchemaError: Two of them differ only in case.
    """
    try:
        return TableSchema.from_pairs(pairs)
    except SchemaError as error:
        raise SchemaError(
            f"of its result, {error.message}", hint="Give one of them another name."
        ) from error


@contextmanager
def _streaming(cursor: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> Iterator[None]:
    cursor.register(STREAM, reader)
    try:
        yield
    finally:
        cursor.unregister(STREAM)


def _columns(
    cursor: duckdb.DuckDBPyConnection, select: str, schema: pa.Schema
) -> tuple[Column, ...]:
    """The columns with DuckDB's types, which do not tell what holds nothing but nulls."""
    import pyarrow as pa

    described = cursor.execute(f"DESCRIBE {select}").fetchall()
    empty = {field.name for field in schema if pa.types.is_null(field.type)}
    return TableSchema.from_pairs(
        (name, UNKNOWN if name in empty else kind) for name, kind, *_ in described
    ).columns


def _travelling(column: Column) -> outgoing.Carried:
    """How a column gets there; text where it is not known what it is."""
    if column.type != UNKNOWN:
        return outgoing.carried(column, _RESULT)
    text = outgoing.carried(Column(column.name, "VARCHAR"), _RESULT)
    return replace(text, expression=f"CAST({identifier(column.name)} AS VARCHAR)")
