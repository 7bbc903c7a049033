"""The systems, each filled and looked at by its own client: nothing of ours is between."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import duckdb
from cases import Case

Column = tuple[str, list[str | None]]


class System(ABC):
    """A database or folder.

    Args:
        uri: Of a database of its own.
        folder: For files.
    """

    title: str
    single: str = ""
    """The type whose values are of single precision, and are spelled with no more digits."""

    def __init__(self, uri: str, folder: Path) -> None:
        self.uri = uri
        self.folder = folder
        self._ran: set[str] = set()

    def create(self, table: str, cases: Sequence[Case]) -> None:
        """Make a table of a column a case, ``c0`` and so on, beside the row's number, ``n``."""
        for case in cases:
            if case.before and case.before not in self._ran:
                self._ran.add(case.before)
                self.run(case.before)
        columns = ", ".join(f"c{i} {case.kind}" for i, case in enumerate(cases))
        statements = [f"CREATE TABLE {table} (n INTEGER, {columns})"]
        for n, row in enumerate(zip_longest(*(c.values for c in cases), fillvalue="NULL")):
            statements.append(f"INSERT INTO {table} VALUES ({n}, {', '.join(row)})")
        self.run(";\n".join(statements))

    def fields(self, table: str) -> dict[str, Any]:
        """The fields of a dataset that reads a table."""
        return {"table": table}

    def expected(self, table: str, cases: Sequence[Case]) -> list[Column]:
        """What a table has, as its own system tells it."""
        del cases
        return self.columns(table)

    def columns(self, table: str) -> list[Column]:
        """Type and values, as text, of each column ``c0`` and so on, in the order of ``n``."""
        return [
            (kind, [row[0] for row in self.rows(f"{self.text(name, kind)}", table)])
            for name, kind in self.types(table)
            if name not in ("n", "_etl_unit_id")
        ]

    @abstractmethod
    def run(self, sql: str) -> None:
        """Execute statements."""

    @abstractmethod
    def rows(self, expression: str, table: str) -> list[tuple[Any, ...]]:
        """The values of an expression over a table, in the order of ``n``."""

    @abstractmethod
    def types(self, table: str) -> list[tuple[str, str]]:
        """Name and type of each column."""

    @abstractmethod
    def text(self, name: str, kind: str) -> str:
        """An expression that spells a column's values."""

    def close(self) -> None:  # noqa: B027 - a file needs no more
        """Let go of it."""


class DuckDB(System):
    """A DuckDB file."""

    title = "DuckDB"
    single = "FLOAT"

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.folder / "file.duckdb") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def run(self, sql: str) -> None:
        self._execute(sql)

    def relation(self, table: str) -> str:
        """The table in a FROM clause."""
        return table

    def rows(self, expression: str, table: str) -> list[tuple[Any, ...]]:
        return self._execute(f"SELECT {expression} FROM {self.relation(table)} ORDER BY n")

    def types(self, table: str) -> list[tuple[str, str]]:
        rows = self._execute(f"DESCRIBE FROM {self.relation(table)}")
        return [(name, "ENUM" if kind.startswith("ENUM") else kind) for name, kind, *_ in rows]

    def text(self, name: str, kind: str) -> str:
        if kind == "BLOB":
            return f"hex({name})"
        if kind == "STRUCT(j JSON)":  # as below
            return f"'{{\"j\": ' || CAST({name}.j AS VARCHAR) || '}}'"
        if kind == "JSON[]":  # the texts, which JSON within JSON would not keep
            name = f"CAST({name} AS VARCHAR[])"
        if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
            return f"CAST(to_json({name}) AS VARCHAR)"
        return f"CAST({name} AS VARCHAR)"


class Folder(DuckDB):
    """A folder of Parquet tables."""

    title = "Parquet folder"

    def relation(self, table: str) -> str:
        return f"read_parquet('{self.folder}/lake/{table}/*.parquet')"


class Parquet(Folder):
    """Parquet files that pyarrow wrote."""

    title = "Parquet files"

    def create(self, table: str, cases: Sequence[Case]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        size = max(len(case.values) for case in cases)
        columns = {"n": pa.array(range(size), pa.int32())}
        for i, case in enumerate(cases):
            values = [*case.values, *[None] * (size - len(case.values))]
            columns[f"c{i}"] = pa.array(values, case.kind)
        pq.write_table(pa.table(columns), self.folder / f"{table}.parquet")

    def fields(self, table: str) -> dict[str, Any]:
        return {"path": f"{table}.parquet"}

    def expected(self, table: str, cases: Sequence[Case]) -> list[Column]:
        del table
        size = max(len(case.values) for case in cases)
        return [(c.title, [*c.expected, *[None] * (size - len(c.expected))]) for c in cases]


class Postgres(System):
    """A database of the test session's PostgreSQL."""

    title = "PostgreSQL"
    single = "real"

    def __init__(self, uri: str, folder: Path) -> None:
        import psycopg

        super().__init__(uri, folder)
        self._connection = psycopg.connect(uri, autocommit=True)

    def run(self, sql: str) -> None:
        self._connection.execute(sql.encode())

    def rows(self, expression: str, table: str) -> list[tuple[Any, ...]]:
        sql = f"SELECT {expression} FROM {table} ORDER BY n"
        return self._connection.execute(sql.encode()).fetchall()

    def types(self, table: str) -> list[tuple[str, str]]:
        rows = self._connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            [table],
        )
        return [(name, kind) for name, kind in rows.fetchall()]

    def text(self, name: str, kind: str) -> str:
        if kind == "bytea":
            return f"encode({name}, 'hex')"
        if kind in ("json[]", "jsonb[]"):  # the texts, which JSON within JSON would not keep
            name = f"{name}::text[]"
        if kind.endswith("[]") or kind == "pair":
            return f"to_json({name})::text"
        if kind.startswith("character("):  # a cast to text would cut the blanks
            return f"CASE WHEN {name} IS NOT NULL THEN concat({name}) END"
        if kind == "money":
            return f"{name}::numeric::text"
        return f"{name}::text"

    def close(self) -> None:
        self._connection.close()


class SQLite(System):
    """A SQLite file."""

    title = "SQLite"

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(self.folder / "file.sqlite")
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def run(self, sql: str) -> None:
        connection = sqlite3.connect(self.folder / "file.sqlite")
        try:
            connection.executescript(f"BEGIN; {sql}; COMMIT")
        finally:
            connection.close()

    def rows(self, expression: str, table: str) -> list[tuple[Any, ...]]:
        found = self._execute(f"SELECT {expression} FROM {table} ORDER BY n")
        return [(_spelled(value),) for (value,) in found]

    def types(self, table: str) -> list[tuple[str, str]]:
        return [(row[1], row[2]) for row in self._execute(f"PRAGMA table_info({table})")]

    def text(self, name: str, kind: str) -> str:
        del kind
        return name


def _spelled(value: Any) -> str | None:
    if isinstance(value, bytes):
        return value.hex()
    return None if value is None else str(value)


class MySQL(System):
    """A database of the test session's MariaDB."""

    title = "MySQL, MariaDB"

    def __init__(self, uri: str, folder: Path) -> None:
        import pymysql
        from pymysql.constants import CLIENT

        super().__init__(uri, folder)
        parts = urlsplit(uri)
        self._connection = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=unquote(parts.password or ""),
            database=parts.path.lstrip("/"),
            charset="utf8mb4",
            autocommit=True,
            conv={},
            client_flag=CLIENT.MULTI_STATEMENTS,
        )
        self.run("SET time_zone = '+00:00', sql_mode = ''")

    def _execute(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def run(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            while cursor.nextset():
                pass

    def rows(self, expression: str, table: str) -> list[tuple[Any, ...]]:
        return self._execute(f"SELECT {expression} FROM {table} ORDER BY n")

    def types(self, table: str) -> list[tuple[str, str]]:
        return [(str(name), str(kind)) for name, kind, *_ in self._execute(f"DESCRIBE {table}")]

    def text(self, name: str, kind: str) -> str:
        if "binary" in kind or "blob" in kind:
            return f"HEX({name})"
        if kind.startswith("bit"):
            return f"CAST({name} + 0 AS CHAR)"
        if kind == "float":
            return f"CAST(CAST({name} AS DOUBLE) AS CHAR)"
        if kind.startswith("timestamp"):  # a moment, shown in the session's zone
            return f"CONCAT({name}, '+00')"
        if kind == "geometry":
            return f"ST_AsText({name})"
        return f"CAST({name} AS CHAR)"

    def close(self) -> None:
        self._connection.close()


def file_uri(system: type[System], folder: Path) -> str:
    """The URI of a system that is a file or folder."""
    place = quote(str(folder))
    return {
        DuckDB: f"duckdb:///{place}/file.duckdb",
        SQLite: f"sqlite:///{place}/file.sqlite",
        Parquet: f"file://{place}",
        Folder: f"parquet:///{place}/lake",
    }[system]
