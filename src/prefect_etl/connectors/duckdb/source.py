"""A DuckDB file as a source: whole tables and queries, or windows of a cursor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from prefect_etl.connectors.base import ArrowRows, Relation, Rows
from prefect_etl.connectors.duckdb.probing import DuckDBProbe, typed
from prefect_etl.connectors.duckdb.rehearsal import assert_within
from prefect_etl.connectors.duckdb.select import check_condition, parse_select
from prefect_etl.connectors.duckdb.slicing import rows_at_once, slices
from prefect_etl.connectors.relational import (
    DatabaseDataset,
    Planner,
    digest_of,
    with_values,
    within,
)
from prefect_etl.core.cursor import Window
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.manifest import Manifest
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


class DuckDBDataset(DatabaseDataset):
    """A table or a query of a DuckDB file."""


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
        self._planner = Planner(dataset, digest_of(*dataset.read))

    def units(self, state: LedgerState) -> list[Unit]:
        """What the ledger remembers, and the whole or the window above the last cursor.

        Raises:
            SourceReadError: The file, table, query or cursor is not there.
        """
        with self._open() as cursor:
            return self._planner.units(state, self._probe(cursor))

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """One batch; its reading holds the window, whose upper bound stays as it is now.

        Raises:
            SourceReadError: The file, table, query or cursor is not there.
        """
        with self._open() as cursor:
            return self._planner.batches(units, state, self._probe(cursor))

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> list[Batch] | None:
        """The window that a killed run had read already."""
        return self._planner.resume(held, state)

    def window(self, window: Window, state: LedgerState) -> list[Batch]:
        """A window of a backfill.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        del state
        try:
            with self._open() as cursor:
                return self._planner.window(window, self._probe(cursor))
        except SourceReadError as error:  # DuckDB says what a bound is not, and not whose
            raise ConfigError(
                f"{self._dataset.name}: the window {window} does not fit the cursor "
                f"{self._dataset.cursor_column}: {error.message}"
            ) from error

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Open the whole or the window for reading.

        Raises:
            SourceReadError: The file, table or query is not there, or the query fails.
        """
        with self._open(looks=False) as cursor:
            with self._session.looking():
                probe = self._probe(cursor)
            columns = probe.keys if "keys" in batch.reading else probe.columns
            sql = f"SELECT {columns} FROM {probe.selected}"
            window = None
            if "upper" in batch.reading:
                column, kind = probe.cursor_column
                window = within(batch.reading, identifier(column), lambda bound: typed(bound, kind))
                sql += f" WHERE {window}"
            if self._dataset.table_ is not None:
                if (rows := rows_at_once(cursor, probe.selected, columns)) is None:
                    yield Relation(sql, ordered=False)
                else:
                    few = slices(cursor, probe.selected, columns, window, rows)
                    yield ArrowRows(few, ordered=False)
                return
            # A query's names are looked up in the file, which only this cursor uses. Without the
            # setting, types that Arrow does not know would come out as others.
            cursor.execute("SET arrow_lossless_conversion = true")
            stream = cursor.execute(sql).to_arrow_reader(_STREAM_ROWS)
            yield ArrowRows(stream)

    @contextmanager
    def _open(self, *, looks: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        import duckdb

        name = self._dataset.name
        if not self._path.exists():
            raise SourceReadError(
                f"{name}: there is no DuckDB file {self._path}",
                hint="Check connection: in the pipeline file.",
            )
        try:
            with self._session.attached(self._path, read_only=True, looks=looks) as cursor:
                yield cursor
        except (EtlError, duckdb.InterruptException):
            raise
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0]
            raise SourceReadError(
                f"{name}: {self._path.name} cannot be read: {said}",
                hint="Check table:, query:, filter: and cursor: in the pipeline file.",
            ) from error

    def _probe(self, cursor: duckdb.DuckDBPyConnection) -> DuckDBProbe:
        return DuckDBProbe(cursor, self._dataset, self._selected(cursor))

    def _selected(self, cursor: duckdb.DuckDBPyConnection) -> str:
        """The table, or the query in brackets, as it stands behind FROM."""
        found = cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_catalog = current_database()"
        ).fetchall()
        if self._dataset.query is not None:
            query = with_values(self._dataset.query, self._dataset.parameters)
            self._assert_reads_tables_only(query, found)
            selected = f"({query.strip().rstrip(';')}\n)"
        else:
            selected = self._qualified(self._dataset.table_ or "", found)
        if self._dataset.filter is not None:
            check_condition(self._session, self._dataset.filter)
            selected = f"(SELECT * FROM {selected} WHERE (\n{self._dataset.filter}\n))"
        try:
            assert_within(cursor, f"FROM {selected}", foreign=True)
        except ConfigError as error:
            raise self._refused(error.message) from error
        return selected

    def _assert_reads_tables_only(self, query: str, found: Sequence[tuple[str, str]]) -> None:
        known = {f"{schema}.{name}".casefold() for schema, name in found}
        try:
            select = parse_select(self._session, query, self._path.stem, _MAIN)
        except ConfigError as error:
            raise self._refused(error.message) from error
        for table in select.reads:
            if str(table).casefold() not in known:
                near = did_you_mean(table.name, [name for _, name in found])
                raise self._refused(f"{self._path.name} has no table {table}{near}")

    def _refused(self, problem: str) -> ConfigError:
        what = "query" if self._dataset.query is not None else "table"
        return ConfigError(f"{self._dataset.name}: {what}: {problem}", hint=_HINT)

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
