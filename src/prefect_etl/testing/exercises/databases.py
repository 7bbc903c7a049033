"""Databases: tables and queries as sources, tables as destinations."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit, urlunsplit

from prefect_etl.core.sql import qualified
from prefect_etl.testing.exercise import Exercise, Row, arrow_table, without_ledger

_DATABASES: set[str] = set()


class Served(Exercise):
    """A database of its own for each folder, on a server that a fixture starts.

    The server has ``new_database() -> name``, ``uri(name)`` and ``drop_database(name)``.
    """

    def begin(self, server: Any) -> None:
        """Take the server."""
        self._server = server
        self._databases: dict[Path, str] = {}

    def end(self) -> None:
        """Drop what was made."""
        for name in self._databases.values():
            self._server.drop_database(name)

    def uri(self, folder: Path) -> str:
        """A database that is made when it is asked for first."""
        if folder not in self._databases:
            self._databases[folder] = self._server.new_database()
        return str(self._server.uri(self._databases[folder]))


class DuckDB(Exercise):
    """A table in a DuckDB file."""

    scheme: ClassVar[str] = "duckdb"

    def uri(self, folder: Path) -> str:
        """One file."""
        return f"duckdb:///{quote(str(folder / 'exercise.duckdb'))}"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Replace a table."""
        import duckdb

        table = arrow_table(rows)
        with duckdb.connect(folder / "exercise.duckdb") as connection:
            connection.register("given", table)
            connection.execute("CREATE OR REPLACE TABLE rows_given AS SELECT * FROM given")

    def fields(self) -> dict[str, Any]:
        """That table."""
        return {"table": "rows_given"}

    def execute(self, folder: Path, sql: str) -> None:
        """Open the file as anybody would."""
        import duckdb

        with duckdb.connect(folder / "exercise.duckdb") as connection:
            connection.execute(sql)

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """Open the file as anybody would."""
        import duckdb

        with duckdb.connect(folder / "exercise.duckdb", read_only=True) as connection:
            found = connection.sql(f"SELECT * FROM {qualified(schema, table)}")
            rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
        return [without_ledger(row) for row in rows]


class DuckDBQuery(DuckDB):
    """A query over a DuckDB file."""

    def fields(self) -> dict[str, Any]:
        """All rows of the table."""
        return {"query": "SELECT * FROM rows_given"}


class Postgres(Exercise):
    """A database of its own in a server that the tests start."""

    scheme: ClassVar[str] = "postgresql"
    fixture: ClassVar[str] = "postgres"
    # The URI of a database of that server; who runs the tests sets it.
    server: ClassVar[str] = ""

    def begin(self, server: Any) -> None:
        """Take the server."""
        Postgres.server = server.uri()

    def uri(self, folder: Path) -> str:
        """A database for each folder."""
        import psycopg

        name = f"exercise_{sha256(str(folder).encode()).hexdigest()[:16]}"
        uri = urlunsplit(urlsplit(self.server)._replace(path=f"/{name}"))
        if uri not in _DATABASES:
            with psycopg.connect(self.server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}".encode())
            _DATABASES.add(uri)
        return uri

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Replace a table."""
        import psycopg

        with psycopg.connect(self.uri(folder)) as connection:
            connection.execute("DROP TABLE IF EXISTS rows_given")
            connection.execute(
                "CREATE TABLE rows_given (id bigint, name text, amount float8, day date)"
            )
            values = "VALUES (%(id)s, %(name)s, %(amount)s, %(day)s)"
            connection.cursor().executemany(f"INSERT INTO rows_given {values}".encode(), rows)

    def fields(self) -> dict[str, Any]:
        """That table."""
        return {"table": "rows_given"}

    def execute(self, folder: Path, sql: str) -> None:
        """Connect as anybody would."""
        import psycopg

        with psycopg.connect(self.uri(folder)) as connection:
            connection.execute(sql.encode())

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """Connect as anybody would."""
        import psycopg
        from psycopg.rows import dict_row

        with psycopg.connect(self.uri(folder), row_factory=dict_row) as connection:
            found = connection.execute(f"SELECT * FROM {qualified(schema, table)}".encode())
            return [without_ledger(row) for row in found.fetchall()]


class PostgresQuery(Postgres):
    """A query over a PostgreSQL database."""

    def fields(self) -> dict[str, Any]:
        """All rows of the table."""
        return {"query": "SELECT * FROM rows_given"}


class Sqlite(Exercise):
    """A table in a SQLite file."""

    scheme: ClassVar[str] = "sqlite"
    has_schemas: ClassVar[bool] = False

    def uri(self, folder: Path) -> str:
        """One file."""
        return f"sqlite:///{quote(str(folder / 'exercise.sqlite'))}"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Replace a table."""
        self.execute(folder, "DROP TABLE IF EXISTS rows_given")
        self.execute(
            folder, "CREATE TABLE rows_given (id INTEGER, name TEXT, amount REAL, day DATE)"
        )
        given = [(r["id"], r["name"], r["amount"], r["day"] and str(r["day"])) for r in rows]
        with closing(sqlite3.connect(folder / "exercise.sqlite")) as connection, connection:
            connection.executemany("INSERT INTO rows_given VALUES (?, ?, ?, ?)", given)

    def fields(self) -> dict[str, Any]:
        """That table."""
        return {"table": "rows_given"}

    def execute(self, folder: Path, sql: str) -> None:
        """Open the file as anybody would."""
        with closing(sqlite3.connect(folder / "exercise.sqlite")) as connection, connection:
            connection.execute(sql)

    def rows(self, folder: Path, schema: str, table: str) -> list[dict[str, Any]]:
        """Open the file as anybody would."""
        with closing(sqlite3.connect(folder / "exercise.sqlite")) as connection:
            found = connection.execute(f"SELECT * FROM {qualified(schema, table)}")
            names = [name for name, *_ in found.description]
            told = connection.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
            kinds = dict(told.fetchall())
            return [
                without_ledger(
                    {n: _of_sqlite(v, kinds[n]) for n, v in zip(names, row, strict=True)}
                )
                for row in found.fetchall()
            ]


def _of_sqlite(value: Any, declared: str) -> Any:
    if value is None:
        return None
    if declared.startswith("TIMESTAMP"):
        return datetime.fromisoformat(value)
    if declared.startswith("DECIMAL"):
        scale = int(declared.rstrip(")").partition(",")[2])
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-scale))
    made: dict[str, Any] = {"BOOLEAN": bool, "DATE": date.fromisoformat}
    return made.get(declared, lambda same: same)(value)


class SqliteQuery(Sqlite):
    """A query over a SQLite file."""

    def fields(self) -> dict[str, Any]:
        """All rows of the table."""
        return {"query": "SELECT * FROM rows_given"}


class MySql(Served):
    """A table in a database of its own."""

    scheme: ClassVar[str] = "mysql"
    fixture: ClassVar[str | None] = "mariadb"

    def put(self, folder: Path, rows: Sequence[Row]) -> None:
        """Replace a table."""
        from prefect_etl.connectors.mysql.connection import MySqlConnection

        connection = MySqlConnection.from_uri(self.uri(folder), folder).connect()
        columns = "id bigint PRIMARY KEY, name text, amount double, day date"
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS rows_given")
            cursor.execute(f"CREATE TABLE rows_given ({columns}) CHARACTER SET utf8mb4")
            values = "VALUES (%(id)s, %(name)s, %(amount)s, %(day)s)"
            cursor.executemany(f"INSERT INTO rows_given {values}", [dict(row) for row in rows])

    def fields(self) -> dict[str, Any]:
        """That table."""
        return {"table": "rows_given"}


class MySqlQuery(MySql):
    """A query over such a database."""

    def fields(self) -> dict[str, Any]:
        """All rows of the table."""
        return {"query": "SELECT * FROM rows_given"}
