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
# Bytes of a row from which a stream is written row group by row group, by one thread: to keep the
# order DuckDB would hold 122,880 rows of it, and more of the next ones.
_WIDE_ROW = 4 * 2**10
# What a reader takes at a time, of one row group; and how many bytes that may be.
_VECTOR_ROWS, _VECTOR_BYTES = 2048, 64 * 2**20
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
    with _opened(session, rows, units) as (cursor, whole, wide):
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
        copy = _Copy(relation, columns, path)
        if packed and relation.whole_units:
            copied = copy.run(cursor, ordered=False)
            if (counted := _count(cursor, path, units, copied)) is not None:
                return Written(counted, schema)
        ordered = not wide and (packed or relation.ordered)
        failure: Exception | None = None
        try:
            copied = copy.run(cursor, ordered=ordered)
            again = ordered and isinstance(rows, Relation) and _is_bulky(cursor, path)
        except _out_of_memory() as error:
            # What was read of a stream does not come again; another engine has tried already.
            if not isinstance(rows, Relation) or rows.engine is not None:
                raise
            again, failure = True, error
        if again:
            copied = copy.run_frugally(session, failure)
        counted = _count(cursor, path, units, copied)
        if counted is None:
            raise AccountingError(f"{path}: the source gave the rows of its units in turns")
        return Written(counted, schema)


@contextmanager
def _opened(
    session: Session, rows: Rows, units: Sequence[Unit]
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Relation, bool]]:
    """Where rows can be read, and whether they look so wide that one thread is to write them."""
    if isinstance(rows, Relation):
        with session.cursor() as cursor:
            yield cursor, rows, False
        return
    import pyarrow as pa

    from prefect_etl.engine.arrow import looked_at

    given = _reader(rows, pa)
    assert_distinct(given.schema.names, units[0].position)
    width, reader = looked_at(given)
    wide = width >= _WIDE_ROW
    with session.frugal() if wide else session.cursor() as cursor:
        cursor.register(STREAM, reader)
        try:
            yield cursor, Relation(rows.select, ordered=rows.ordered), wide
        finally:
            cursor.unregister(STREAM)


def _out_of_memory() -> type[Exception]:
    import duckdb

    return duckdb.OutOfMemoryException


def _is_bulky(cursor: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file has rows of which those that are read at once are too much for a reader."""
    at_once = f"row_group_bytes * least({_VECTOR_ROWS}, row_group_num_rows)"
    bulky = cursor.execute(
        f"SELECT 1 FROM parquet_metadata({literal(path)}) "
        f"WHERE {at_once} > {_VECTOR_BYTES} * row_group_num_rows LIMIT 1"
    )
    return bulky.fetchone() is not None


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


@dataclass(frozen=True, slots=True)
class _Copy:
    """Rows on their way to a file."""

    relation: Relation
    columns: Sequence[str]
    path: Path

    def run(self, cursor: duckdb.DuckDBPyConnection, *, ordered: bool) -> int:
        """Write all rows, and say how many they were.

        Raises:
            StorageError: The disk refused.
        """
        import duckdb

        relation = self.relation
        try:
            if relation.engine is not None:
                result = relation.engine.query(
                    self._sql(ordered=ordered), frugal=self._sql(ordered=False)
                )
            else:
                result = cursor.execute(self._sql(ordered=ordered), relation.parameters).fetchall()
        except duckdb.Error as error:
            if str(self.path) in str(error) or "No space left" in str(error):
                raise storage_error(error, "the raw zone") from error
            raise
        return int(result[0][0]) if result else 0

    def run_frugally(self, session: Session, failure: Exception | None) -> int:
        """Write all rows with one thread, in row groups of a few megabytes.

        What was read of the source once is read again.

        Args:
            session: The engine.
            failure: Why it could not be done otherwise; raised where that engine cannot read them.
        """
        import duckdb

        if self.relation.engine is not None:
            sql = self._sql(ordered=False)
            return int(self.relation.engine.query(sql, frugal=sql)[0][0])
        try:
            with session.frugal() as cursor:
                return self.run(cursor, ordered=False)
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            if failure is None:
                raise
            raise failure from error  # it is in a file that is attached elsewhere

    def _sql(self, *, ordered: bool) -> str:
        # PRESERVE_ORDER keeps the source's order although the session as a whole does not.
        return (
            f"COPY (SELECT {', '.join(self.columns)} FROM ({self.relation.sql})) "
            f"TO {literal(self.path)} "
            f"(FORMAT parquet, COMPRESSION {COMPRESSION}, PRESERVE_ORDER {ordered}"
            f"{'' if ordered else f', ROW_GROUP_SIZE_BYTES {_GROUP_BYTES}'})"
        )


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
