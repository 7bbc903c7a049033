"""Writes the rows of a batch to one Parquet file, in the source's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.core.manifest import ExtractedUnit
from prefect_etl.core.naming import assert_distinct
from prefect_etl.core.rows import STREAM, UNIT_INDEX, ArrowRows, Relation, Rows
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import is_restorable, stored_type
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import AccountingError, SourceReadError

if TYPE_CHECKING:
    import duckdb

# Chosen by `make bench`: see docs/architecture.md.
COMPRESSION = "snappy"
# Of a row group while it is made, where rows may be wide: some megabytes each. DuckDB keeps to it
# only where it need not keep the order.
_GROUP_BYTES = 16 * 2**20
# Names by which a file's rows are numbered, DuckDB's and ours: columns cannot have them.
_TAKEN = frozenset({"file_row_number", UNIT_INDEX})


@dataclass(frozen=True, slots=True)
class Written:
    """What a Parquet file got: units with their rows, and the source's columns and types."""

    units: tuple[ExtractedUnit, ...]
    schema: TableSchema


def write_parquet(
    session: Session, rows: Rows, path: Path, units: Sequence[Unit], limit: int | None = None
) -> Written:
    """Write rows to a new Parquet file; neither the file nor its name is durable yet.

    Raises:
        StorageError: The disk refused.
        AccountingError: The file has other rows than were written.
        SchemaError: The names of two columns differ in case only.
        SourceReadError: A column is of a type that would come back otherwise, or has a name that
            a file cannot give back.
    """
    with session.cursor() as cursor, _relation(cursor, rows, units) as whole:
        relation = _limited(whole, limit)
        described = _run(cursor, relation, f"DESCRIBE {relation.sql}")
        unknown = _null_columns(rows)
        packed = len(units) > 1
        schema = TableSchema(
            tuple(
                Column(name, UNKNOWN if name in unknown else kind)
                for name, kind, *_ in described
                if not (packed and name == UNIT_INDEX)
            )
        )
        _assert_named(schema, units)
        _assert_restorable(schema, units)
        columns = [_stored(column) for column in schema]
        if packed:
            columns.append(f"CAST({UNIT_INDEX} AS INTEGER) AS {UNIT_INDEX}")
        if packed and relation.whole_units:
            copied = _copy(cursor, relation, columns, path, ordered=False)
            if (counted := _count(cursor, path, units, copied)) is not None:
                return Written(counted, schema)
        copied = _copy(cursor, relation, columns, path, ordered=packed or relation.ordered)
        counted = _count(cursor, path, units, copied)
        if counted is None:
            raise AccountingError(f"{path}: the source gave the rows of its units in turns")
        return Written(counted, schema)


@contextmanager
def _relation(
    cursor: duckdb.DuckDBPyConnection, rows: Rows, units: Sequence[Unit]
) -> Iterator[Relation]:
    if isinstance(rows, Relation):
        yield rows
        return
    import pyarrow as pa

    reader = _reader(rows, pa)
    assert_distinct(reader.schema.names, units[0].position)
    cursor.register(STREAM, reader)
    try:
        yield Relation(rows.select, ordered=rows.ordered)
    finally:
        cursor.unregister(STREAM)


def _run(cursor: duckdb.DuckDBPyConnection, relation: Relation, sql: str) -> list[tuple[Any, ...]]:
    if relation.engine is not None:
        return relation.engine.query(sql)
    return cursor.execute(sql, relation.parameters).fetchall()


def _limited(relation: Relation, limit: int | None) -> Relation:
    if limit is None:
        return relation
    return replace(relation, sql=f"SELECT * FROM ({relation.sql}) LIMIT {limit}")


def _reader(rows: ArrowRows, pa: Any) -> Any:
    if isinstance(rows.stream, pa.RecordBatchReader):
        return rows.stream
    return pa.RecordBatchReader.from_stream(rows.stream)


def _null_columns(rows: Rows) -> set[str]:
    """Columns of nothing but nulls; DuckDB would call them INTEGER."""
    if isinstance(rows, Relation):
        return set(rows.untyped)
    import pyarrow as pa

    schema = pa.schema(rows.stream.schema if hasattr(rows.stream, "schema") else rows.stream)
    return {field.name for field in schema if pa.types.is_null(field.type)}


def _assert_named(schema: TableSchema, units: Sequence[Unit]) -> None:
    for column in schema:
        if column.name.lower() in _TAKEN:
            raise SourceReadError(
                f"{units[0].position}: the column name {column.name} is taken: rows are numbered "
                "by it in the raw zone",
                hint="Give the column another name at the source, or in a query.",
            )


def _assert_restorable(schema: TableSchema, units: Sequence[Unit]) -> None:
    for column in schema:
        if not is_restorable(column.type):
            raise SourceReadError(
                f"{units[0].position}: column {column.name} is {column.type}, which cannot be kept "
                "as it is",
                hint=f"Leave it out with columns: {{drop: [{column.name}]}}, or cast it in a "
                "query.",
            )


def _stored(column: Column) -> str:
    kind = "VARCHAR" if column.type == UNKNOWN else stored_type(column.type)
    name = identifier(column.name)
    return name if kind == column.type else f"CAST({name} AS {kind}) AS {name}"


def _copy(
    cursor: duckdb.DuckDBPyConnection,
    relation: Relation,
    columns: list[str],
    path: Path,
    *,
    ordered: bool,
) -> int:
    import duckdb

    # PRESERVE_ORDER keeps the source's order although the session as a whole does not.
    copy = (
        f"COPY (SELECT {', '.join(columns)} FROM ({relation.sql})) TO {literal(path)} "
        f"(FORMAT parquet, COMPRESSION {COMPRESSION}, PRESERVE_ORDER {ordered}"
        f"{'' if ordered else f', ROW_GROUP_SIZE_BYTES {_GROUP_BYTES}'})"
    )
    try:
        result = _run(cursor, relation, copy)
    except duckdb.Error as error:
        if str(path) in str(error) or "No space left" in str(error):
            raise storage_error(error, "the raw zone") from error
        raise
    return int(result[0][0]) if result else 0


def _count(
    cursor: duckdb.DuckDBPyConnection, path: Path, units: Sequence[Unit], copied: int
) -> tuple[ExtractedUnit, ...] | None:
    """Where each unit's rows are in the file; None where they do not lie together."""
    source = f"read_parquet({literal(path)}, file_row_number = true)"
    if len(units) == 1:
        counted = cursor.execute(f"SELECT 0, 0, count(*) - 1, count(*) FROM {source}").fetchall()
    else:
        counted = cursor.execute(
            f"SELECT {UNIT_INDEX}, min(file_row_number), max(file_row_number), count(*) "
            f"FROM {source} GROUP BY ALL"
        ).fetchall()
    if sum(rows for *_, rows in counted) != copied:
        raise AccountingError(f"{path} does not hold the {copied} rows that were written to it")
    if any(last - first + 1 != rows for _, first, last, rows in counted):
        return None
    places = {index: (first, rows) for index, first, _, rows in counted}
    return tuple(ExtractedUnit(unit, *places.get(i, (0, 0))) for i, unit in enumerate(units))
