"""Transformations in a DuckDB file.

Results are computed while the file is open for reading only, which others may share, and kept in
the session's own database, where they have their exact types and may be larger than memory. The
file is opened for writing only to publish one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect_etl.connectors.duckdb import transform_ledger as ledger
from prefect_etl.connectors.duckdb.publish import write
from prefect_etl.connectors.duckdb.rehearsal import assert_within
from prefect_etl.connectors.duckdb.select import bind_parameters, check_condition, parse_select
from prefect_etl.connectors.transforming import (
    Fetched,
    Publication,
    Published,
    Select,
    Staged,
    Versions,
)
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.rows import ArrowRows, Relation, Rows
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.warehouse import Snapshot, TableRef, TableVersion
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import (
    ConfigError,
    DataError,
    EtlError,
    SchemaError,
    StorageError,
    VersionConflict,
)
from prefect_etl.storage.durable import make_folder, storage_errors

if TYPE_CHECKING:
    import duckdb

_STREAM = "_etl_result_stream"
_HUGE = ("HUGEINT", "UHUGEINT")
_INT64 = (-(2**63), 2**63 - 1)


class DuckDBTransforms:
    """Makes tables of a DuckDB file out of its tables.

    Args:
        path: The file; made at the first publication.
        session: The engine.
    """

    def __init__(self, path: Path, session: Session) -> None:
        self.path = path
        self._session = session

    @property
    def default_schema(self) -> str:
        """The schema of tables that are named without one."""
        return "main"

    def snapshot(self) -> Snapshot:
        """What the file holds now."""
        if not self.path.exists():
            return Snapshot()
        with self._session.attached(self.path, read_only=True) as cursor:
            return ledger.read_snapshot(cursor)

    def select(self, sql: str) -> Select:
        """Find out what a SELECT reads."""
        return parse_select(self._session, sql, self.path.resolve().stem, self.default_schema)

    def condition(self, sql: str) -> None:
        """Make sure that a text is one condition on the columns of a row."""
        check_condition(self._session, sql)

    def bind(self, select: Select, values: Mapping[str, Any]) -> Select:
        """A SELECT with its parameters written out."""
        return bind_parameters(self._session, select, values)

    def fetch(self, tables: Sequence[TableRef]) -> Fetched:
        """Whole tables as Arrow.

        A HUGEINT column, as DuckDB's ``sum`` of integers gives, is BIGINT where its values fit and
        DECIMAL(38,0) where they do not.
        """
        with self._reading(tables) as (cursor, versions), _translated():
            for table in tables:
                assert_within(cursor, f"FROM {qualified(table.schema, table.name)}")
            found = {
                table: cursor.execute(_exact(cursor, table)).to_arrow_table() for table in tables
            }
        return Fetched(found, versions)

    @contextmanager
    def stage(
        self, rows: Rows, reads: Sequence[TableRef] = (), *, keep_rows: bool = True
    ) -> Iterator[Staged]:
        """Compute a result and keep it aside for as long as the context is open."""
        stage = qualified("memory", "main", f"_etl_result_{uuid4().hex}")
        try:
            if isinstance(rows, ArrowRows):
                with self._streaming(rows) as (cursor, schema), _translated():
                    staged = _compute(cursor, Relation(f"FROM {_STREAM}"), stage, {})
                    staged = replace(staged, columns=_given_columns(schema, staged.columns))
            else:
                with self._reading(reads) as (cursor, versions), _translated():
                    assert_within(cursor, rows.sql, rows.parameters)
                    staged = _compute(cursor, rows, stage if keep_rows else "", versions)
            yield staged
        finally:
            self._session.query(f"DROP TABLE IF EXISTS {stage}")

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask something of a staged result."""
        with self._session.cursor() as cursor, _translated():
            return cursor.execute(sql).fetchall()

    def publish(self, publication: Publication) -> Published:
        """Publish a staged result and its ledger entry in one transaction, or nothing."""
        import duckdb

        with storage_errors(f"the folder of {self.path}"):
            make_folder(self.path.parent)
        with self._session.attached(self.path, read_only=False) as cursor:
            try:
                ledger.create_ledger(cursor)
                cursor.begin()
                published = _publish(cursor, publication)
                cursor.commit()
            except duckdb.InterruptException:
                raise
            except duckdb.Error as error:
                raise storage_error(error, f"{publication.name} into {self.path}") from error
            return published

    @contextmanager
    def _reading(
        self, tables: Sequence[TableRef]
    ) -> Iterator[tuple[duckdb.DuckDBPyConnection, Versions]]:
        """The file for reading, and the versions of tables that are sure to be there."""
        if not self.path.exists():
            _assert_present(tables, Snapshot())
            with self._session.cursor() as cursor:
                yield cursor, {}
            return
        with self._session.attached(self.path, read_only=True) as cursor:
            snapshot = ledger.read_snapshot(cursor)
            _assert_present(tables, snapshot)
            yield cursor, {table: snapshot.version(table) for table in tables}

    @contextmanager
    def _streaming(self, rows: ArrowRows) -> Iterator[tuple[duckdb.DuckDBPyConnection, Any]]:
        import pyarrow as pa

        reader = rows.stream
        if not isinstance(reader, pa.RecordBatchReader):
            reader = pa.RecordBatchReader.from_stream(reader)
        _columns([(name, "") for name in reader.schema.names])
        with self._session.cursor() as cursor:
            cursor.register(_STREAM, reader)
            try:
                yield cursor, reader.schema
            finally:
                cursor.unregister(_STREAM)


def _assert_present(tables: Sequence[TableRef], snapshot: Snapshot) -> None:
    # What is not a table DuckDB would take for the path of a file.
    for table in tables:
        if table not in snapshot.tables:
            known = [str(other) for other in snapshot.tables]
            raise DataError(
                f"table {table} does not exist{did_you_mean(str(table), known)}",
                hint="Run the dataset or transformation that makes it first.",
            )


def _compute(
    cursor: duckdb.DuckDBPyConnection, rows: Relation, stage: str, versions: Versions
) -> Staged:
    """Keep a result in ``stage``; find out only its columns where that is empty."""
    described = cursor.execute(f"DESCRIBE\n{rows.sql}", rows.parameters).fetchall()
    columns = _columns([(name, kind) for name, kind, *_ in described])
    if not stage:
        return Staged("", columns, None, versions)
    row = cursor.execute(f"CREATE TABLE {stage} AS\n{rows.sql}", rows.parameters).fetchone()
    return Staged(stage, columns, int(row[0]) if row else 0, versions)


def _columns(pairs: Sequence[tuple[str, str]]) -> TableSchema:
    try:
        return TableSchema.from_pairs(pairs)
    except SchemaError as error:
        raise SchemaError(
            f"of its result, {error.message}", hint="Give one of them another name."
        ) from error


def _given_columns(schema: Any, columns: TableSchema) -> TableSchema:
    """The columns of an Arrow stream; DuckDB does not tell which hold nothing but nulls."""
    import pyarrow as pa

    return TableSchema(
        tuple(
            Column(column.name, UNKNOWN if pa.types.is_null(field.type) else column.type)
            for field, column in zip(schema, columns, strict=True)
        )
    )


def _exact(cursor: duckdb.DuckDBPyConnection, table: TableRef) -> str:
    """A SELECT of a whole table, with columns that Arrow has no type for as what it has."""
    name = qualified(table.schema, table.name)
    columns = {n: kind for n, kind, *_ in cursor.execute(f"DESCRIBE {name}").fetchall()}
    fitting = _fitting(cursor, name, [n for n, kind in columns.items() if kind in _HUGE])
    casts = {n: "BIGINT" if fits else "DECIMAL(38,0)" for n, fits in fitting.items()}
    casts |= {n: "VARCHAR" for n, kind in columns.items() if kind == "BIT"}
    selected = [
        f"CAST({identifier(n)} AS {casts[n]}) AS {identifier(n)}" if n in casts else identifier(n)
        for n in columns
    ]
    return f"SELECT {', '.join(selected)} FROM {name}"


def _fitting(
    cursor: duckdb.DuckDBPyConnection, name: str, columns: Sequence[str]
) -> dict[str, bool]:
    """Whether all values of each column fit 64 bits."""
    if not columns:
        return {}
    low, high = _INT64
    tests = ", ".join(f"bool_and({identifier(n)} BETWEEN {low} AND {high})" for n in columns)
    row = cursor.execute(f"SELECT {tests} FROM {name}").fetchone() or ()
    return {n: fits is not False for n, fits in zip(columns, row, strict=True)}


def _publish(cursor: duckdb.DuckDBPyConnection, publication: Publication) -> Published:
    before = ledger.read_snapshot(cursor)
    table = publication.table
    obstacle = before.obstacle(table, publication.pipeline)
    if obstacle is not None:
        raise ConfigError(
            f"{publication.name}: {obstacle}",
            hint="Give this transformation another table with into: or schema:.",
        )
    state = before.transformations.get(table)
    found = state.version if state else None
    if found != publication.built_on:
        raise VersionConflict(
            f"{publication.name}: another run built its table meanwhile",
            hint="Nothing is lost: run again.",
        )
    columns, rows = write(cursor, publication, before)
    version = (
        TableVersion(found.number + 1, found.history) if found else TableVersion(1, uuid4().hex)
    )
    ledger.record(cursor, publication, version, columns, rows)
    return Published(version, rows)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn DuckDB's errors about a user's SQL and data into ours."""
    import duckdb

    try:
        yield
    except (EtlError, duckdb.InterruptException):
        raise
    except (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException) as error:
        raise ConfigError(_said(error)) from error
    except duckdb.OutOfMemoryException as error:
        raise StorageError(
            f"the memory limit is too small: {_said(error)}",
            hint="Raise memory_limit in the settings, or let the SQL do it in smaller steps.",
        ) from error
    except duckdb.IOException as error:
        raise storage_error(error, "the result") from error
    except duckdb.Error as error:
        raise DataError(_said(error)) from error


def _said(error: Exception) -> str:
    """What DuckDB says, with the place in the user's text, which began on the second line."""
    said = "\n".join(line for line in str(error).splitlines() if line.strip())
    return re.sub(
        r"^LINE (\d+):", lambda m: f"LINE {max(int(m[1]) - 1, 1)}:", said, flags=re.MULTILINE
    )
