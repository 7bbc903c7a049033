"""A DuckDB file as a source: whole tables and queries, or windows of a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from pydantic import Field, model_validator

from prefect_etl.connectors.base import ArrowRows, Relation, Rows
from prefect_etl.connectors.duckdb.select import parse_select
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, EtlError, SourceReadError

if TYPE_CHECKING:
    import duckdb

# Rows of one Arrow batch, when a query's result is streamed.
_STREAM_ROWS = 65_536
_MAIN = "main"
_HINT = (
    "A query of a DuckDB source is one SELECT over the tables of its file; for files use a "
    "connection file://."
)


class DuckDBDataset(DatasetSpec):
    """A table or a query of a DuckDB file.

    Without ``cursor`` all of it is read in each run. With ``cursor`` only rows above the highest
    value that was loaded are read, or, where ``write: merge`` makes it harmless, also those that
    equal it. Rows whose cursor is null come with the first load only.
    """

    table_: str | None = Field(
        None, alias="table", min_length=1, description="A table or view: name, or schema.name."
    )
    query: str | None = Field(None, min_length=1, description="One SELECT over the file's tables.")

    @model_validator(mode="after")
    def _table_or_query(self) -> Self:
        if (self.table_ is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self

    @property
    def source_cursor(self) -> str | None:
        """The cursor's name in the source, before columns were renamed."""
        renamed = {new: old for old, new in self.columns.rename.items()}
        name = self.cursor_column
        return renamed.get(name, name) if name else None


class _File(Protocol):
    @property
    def path(self) -> Path: ...


class DuckDBSource:
    """Reads one table or query of a DuckDB file, which is open for reading only meanwhile.

    Args:
        connection: Where the file is.
        dataset: What to read of it.
        session: The engine that reads it.
    """

    def __init__(self, connection: _File, dataset: DuckDBDataset, session: Session) -> None:
        self._path = connection.path
        self._dataset = dataset
        self._session = session

    def units(self, state: LedgerState) -> list[Unit]:
        """The whole, or the window above the last cursor; none where that is empty.

        Raises:
            SourceReadError: The file, table, query or cursor is not there.
        """
        version = str(state.version)
        with self._open() as cursor:
            selected = self._selected(cursor)
            if self._dataset.source_cursor is None:
                return [Unit(self._described(), version)]
            if state.schema is not None and self._upper(cursor, selected, state) is None:
                return []
        known = "from" if self._dataset.write == "merge" else "above"
        position = "start" if state.cursor is None else f"{known} {state.cursor}"
        return [Unit(position, version, transient=True)]

    def _described(self) -> str:
        """What is read, in a few words that change with it."""
        if self._dataset.table_ is not None:
            return self._dataset.table_
        return f"query {sha256((self._dataset.query or '').encode()).hexdigest()[:12]}"

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """One batch; its reading holds the window, whose upper bound stays as it is now.

        Raises:
            SourceReadError: The file, table, query or cursor is not there.
        """
        if not units or self._dataset.source_cursor is None:
            return [Batch((unit,)) for unit in units]
        with self._open() as cursor:
            upper = self._upper(cursor, self._selected(cursor), state)
        reading = {"lower": state.cursor, "upper": upper, "first": state.schema is None}
        return [Batch((unit,), reading) for unit in units]

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open the whole or the window for reading.

        Raises:
            SourceReadError: The file, table or query is not there, or the query fails.
        """
        with self._open() as cursor:
            condition, parameters = self._window(batch.reading)
            sql = f"SELECT * FROM {self._selected(cursor)}{condition}"
            if self._dataset.table_ is not None:
                yield Relation(sql, parameters)
                return
            # A query's names are looked up in the file, which only this cursor uses. Without the
            # setting, types that Arrow does not know would come out as others.
            cursor.execute("SET arrow_lossless_conversion = true")
            stream = cursor.execute(sql, parameters).to_arrow_reader(_STREAM_ROWS)
            yield ArrowRows(stream)

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        name = self._dataset.name
        if not self._path.exists():
            raise SourceReadError(
                f"{name}: there is no DuckDB file {self._path}",
                hint="Check connection: in the pipeline file.",
            )
        try:
            with self._session.attached(self._path, read_only=True) as cursor:
                yield cursor
        except (EtlError, duckdb.InterruptException):
            raise
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0]
            raise SourceReadError(
                f"{name}: {self._path.name} cannot be read: {said}",
                hint="Check table:, query: and cursor: in the pipeline file.",
            ) from error

    def _selected(self, cursor: duckdb.DuckDBPyConnection) -> str:
        """The table, or the query in brackets, as it stands behind FROM."""
        found = cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database()"
        ).fetchall()
        if self._dataset.query is not None:
            self._assert_reads_tables_only(self._dataset.query, found)
            query = self._dataset.query.strip().rstrip(";")
            return f"({query}\n)"
        return self._qualified(self._dataset.table_ or "", found)

    def _assert_reads_tables_only(self, query: str, found: Sequence[tuple[str, str]]) -> None:
        known = {f"{schema}.{name}".casefold() for schema, name in found}
        try:
            select = parse_select(self._session, query, self._path.stem, _MAIN)
        except ConfigError as error:
            raise self._refused(error.message) from error
        if select.parameters:
            raise self._refused("it has parameters")
        for table in select.reads:
            if str(table).casefold() not in known:
                near = did_you_mean(table.name, [name for _, name in found])
                raise self._refused(f"{self._path.name} has no table {table}{near}")

    def _refused(self, problem: str) -> ConfigError:
        return ConfigError(f"{self._dataset.name}: query: {problem}", hint=_HINT)

    def _qualified(self, table: str, found: Sequence[tuple[str, str]]) -> str:
        schema, _, name = table.rpartition(".")
        for wanted in ((schema or _MAIN, name), (_MAIN, table)):
            for pair in found:
                if [part.casefold() for part in pair] == [part.casefold() for part in wanted]:
                    return qualified(self._path.stem, *pair)
        known = [n if s == _MAIN else f"{s}.{n}" for s, n in found]
        raise SourceReadError(
            f"{self._dataset.name}: {self._path.name} has no table {table}"
            f"{did_you_mean(table, known)}",
            hint="Check table: in the pipeline file.",
        )

    def _upper(
        self, cursor: duckdb.DuckDBPyConnection, selected: str, state: LedgerState
    ) -> str | None:
        """The highest cursor in the window above the state, as text; None where it is empty."""
        column = identifier(self._dataset.source_cursor or "")
        condition, parameters = self._window({"lower": state.cursor})
        row = cursor.execute(
            f"SELECT CAST(max({column}) AS VARCHAR) FROM {selected}{condition}", parameters
        ).fetchone()
        return row[0] if row else None

    def _window(self, reading: Mapping[str, Any]) -> tuple[str, list[str]]:
        """The condition for a window, and its parameters."""
        if not reading:
            return "", []
        column = identifier(self._dataset.source_cursor or "")
        conditions, parameters = [], []
        for bound, operator in (
            ("lower", ">=" if self._dataset.write == "merge" else ">"),
            ("upper", "<="),
        ):
            if reading.get(bound) is not None:
                conditions.append(f"{column} {operator} ?")
                parameters.append(reading[bound])
        condition = " AND ".join(conditions) or f"{column} IS NOT NULL"
        if reading.get("first"):
            condition = f"({condition} OR {column} IS NULL)"
        return f" WHERE {condition}", parameters
