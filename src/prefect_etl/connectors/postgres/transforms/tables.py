"""Transformations in a PostgreSQL database.

A result is computed into a temporary table, which only its session sees, from one moment of the
database and in a transaction that can write nowhere else. The same session then publishes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from prefect_etl.connectors.postgres.connection import PostgresConnection, translated
from prefect_etl.connectors.postgres.transforms import ledger
from prefect_etl.connectors.postgres.transforms.faults import of_user
from prefect_etl.connectors.postgres.transforms.publishing import commit, publish
from prefect_etl.connectors.postgres.transforms.select import (
    bind_parameters,
    check_condition,
    parse_select,
)
from prefect_etl.connectors.postgres.transforms.staging import copied, fetched, result_columns
from prefect_etl.connectors.postgres.transforms.understanding import understand
from prefect_etl.connectors.transforming import Fetched, Publication, Published, Select, Staged
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.rows import ArrowRows, Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import qualified
from prefect_etl.core.warehouse import Snapshot, TableRef
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, DataError

if TYPE_CHECKING:
    import psycopg

_MOMENT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# Read only from its second half on: then temporary tables are all that it can write to, and it
# cannot go back (https://www.postgresql.org/docs/current/sql-set-transaction.html).
_MOMENT_TO_STAGE = "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE"
_READ_ONLY = "SET TRANSACTION READ ONLY"
# Whatever a user's function may have set, it is over.
_RESET = "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; SELECT pg_advisory_unlock_all()"


class PostgresTransforms:
    """Makes tables of a PostgreSQL database out of its tables.

    Args:
        connection: Where it is.
        session: The engine, for what Python functions get and give.
    """

    def __init__(self, connection: PostgresConnection, session: Session) -> None:
        self._database = connection
        self._session = session
        # By relation: a temporary table is known to its own session only.
        self._staged: dict[str, psycopg.Connection[Any]] = {}

    @property
    def default_schema(self) -> str:
        """The schema of tables that are named without one."""
        return self._database.default_schema

    def snapshot(self) -> Snapshot:
        """What the database holds now."""
        with self._connected("the ledger") as connection:
            connection.execute(_MOMENT)
            return ledger.read_snapshot(connection)

    def select(self, sql: str) -> Select:
        """Find out what a SELECT reads."""
        return parse_select(sql, self.default_schema)

    def condition(self, sql: str) -> None:
        """Make sure that a text is one condition on the columns of a row."""
        check_condition(sql)

    def bind(self, select: Select, values: Mapping[str, Any]) -> Select:
        """A SELECT with its parameters written out."""
        return bind_parameters(select, values)

    def fetch(self, tables: Sequence[TableRef]) -> Fetched:
        """Whole tables as Arrow, with PostgreSQL's types as near as Arrow has them.

        A ``numeric`` without a precision, as ``sum`` and ``avg`` give it, is a BIGINT or a DECIMAL
        of 38 digits where its values fit, and text where they do not.
        """
        with self._connected("the tables") as connection:
            connection.execute(_MOMENT)
            snapshot = ledger.read_snapshot(connection)
            _assert_present(tables, snapshot)
            found = {
                table: fetched(connection, self._database, self._session, table) for table in tables
            }
        return Fetched(found, {table: snapshot.version(table) for table in tables})

    @contextmanager
    def stage(
        self, rows: Rows, reads: Sequence[TableRef] = (), *, keep_rows: bool = True
    ) -> Iterator[Staged]:
        """Compute a result and keep it aside for as long as the context is open."""
        name = f"_etl_result_{uuid4().hex}"
        with self._connected("the result") as connection:
            if isinstance(rows, ArrowRows):
                staged = copied(connection, self._session, rows, name)
            elif keep_rows:
                staged = self._computed(connection, rows, reads, name)
            else:
                yield self._computed(connection, rows, reads, None)
                return
            self._staged[staged.relation] = connection
            try:
                yield staged
            finally:
                del self._staged[staged.relation]

    def _computed(
        self,
        connection: psycopg.Connection[Any],
        rows: Relation,
        reads: Sequence[TableRef],
        stage: str | None,
    ) -> Staged:
        values = dict(rows.parameters) if isinstance(rows.parameters, Mapping) else {}
        sql = rows.sql
        if values:
            sql = bind_parameters(parse_select(sql, self.default_schema), values).sql
        connection.execute(_MOMENT_TO_STAGE)
        snapshot = ledger.read_snapshot(connection)
        _assert_present(reads, snapshot)
        versions = {table: snapshot.version(table) for table in reads}
        columns = _columns(understand(connection, sql, reads, stage))
        if stage is None:
            connection.execute("ROLLBACK")
            return Staged("", columns, None, versions)
        relation = qualified("pg_temp", stage)
        fill = f"INSERT INTO {relation}\n{sql}"
        connection.execute(_READ_ONLY)
        with of_user(fill):
            count = connection.execute(fill.encode(), prepare=True).rowcount
        connection.execute("COMMIT")
        connection.execute(f"ANALYZE {relation}".encode())
        return Staged(relation, columns, count, versions)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask something of a staged result.

        The conditions of a user's checks are in it, so it is no more trusted than their SELECT.
        """
        connection = self._session_of(sql)
        with translated("a check"):
            connection.execute(_MOMENT_TO_STAGE)
            try:
                # Its columns may share a name, which those of a view may not.
                understand(connection, f"SELECT 1 AS found FROM (\n{sql}\n) AS asked", None)
                connection.execute(_READ_ONLY)
                return connection.execute(sql.encode(), prepare=True).fetchall()
            finally:
                connection.rollback()

    def publish(self, publication: Publication) -> Published:
        """Publish a staged result and its ledger entry in one transaction, or nothing."""
        with self._publishing(publication) as connection, translated(publication.name):
            ledger.create_ledger(connection)
            published = publish(connection, publication, self._session.wait)
            commit(connection, self._database, publication, published)
        return published

    @contextmanager
    def _publishing(self, publication: Publication) -> Iterator[psycopg.Connection[Any]]:
        """The session that has the result; for a view any will do."""
        if not publication.staged.relation:
            with self._connected(publication.name) as connection:
                yield connection
            return
        connection = self._staged[publication.staged.relation]
        with translated(publication.name):
            connection.execute(f"{_RESET}; {self._options}".encode())
        yield connection

    def _session_of(self, sql: str) -> psycopg.Connection[Any]:
        return next(connection for relation, connection in self._staged.items() if relation in sql)

    @property
    def _options(self) -> str:
        # A table of a user's own session never hides one of the database.
        path = f"SET search_path = {qualified(self.default_schema)}, pg_temp"
        return f"{self._database.session_options}; {path}"

    @contextmanager
    def _connected(self, what: str) -> Iterator[psycopg.Connection[Any]]:
        connection = self._database.connect()
        try:
            with translated(what), self._session.stopping(connection.cancel_safe):
                connection.execute(self._options.encode())
                yield connection
        finally:
            connection.close()


def _assert_present(tables: Sequence[TableRef], snapshot: Snapshot) -> None:
    for table in tables:
        if table not in snapshot.tables:
            known = [str(other) for other in snapshot.tables]
            raise DataError(
                f"table {table} does not exist{did_you_mean(str(table), known)}",
                hint="Run the dataset or transformation that makes it first.",
            )


def _columns(pairs: Sequence[tuple[str, str]]) -> TableSchema:
    if not pairs:
        raise ConfigError("the SQL gives no columns", hint="Name at least one after SELECT.")
    return result_columns(pairs)
