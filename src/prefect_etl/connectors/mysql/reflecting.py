"""What a MySQL database has: tables and views, their columns with types, keys and sizes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import FoundTable
from prefect_etl.connectors.mysql.carrying import WireType, carried
from prefect_etl.connectors.mysql.connection import MySqlConnection, translated
from prefect_etl.connectors.mysql.quoting import quoted, spelled
from prefect_etl.connectors.relational import DatabaseDataset, with_values
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.schema import Column, TableSchema
from prefect_etl.errors import EtlError, SourceReadError

if TYPE_CHECKING:
    import pymysql

logger = logging.getLogger(__name__)
_NOT_OURS = "('mysql', 'information_schema', 'performance_schema', 'sys', '_prefect_etl')"


@dataclass(frozen=True, slots=True)
class Found:
    """A table, view or query, as it is to be read.

    Attributes:
        selected: As it stands behind FROM.
        columns: Names and types, in order.
        key: The columns of its primary key.
        rows: About how many; None where nothing is known.
        bytes: About how many they take; None where nothing is known.
    """

    selected: str
    columns: tuple[tuple[str, WireType], ...]
    key: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None

    def type_of(self, column: str) -> WireType:
        """The type of a column."""
        return dict(self.columns)[column]

    @property
    def number(self) -> str | None:
        """The whole number that is its primary key; None where there is none."""
        if len(self.key) != 1 or not self.type_of(self.key[0]).is_integer:
            return None
        return self.key[0]


def reflect(connection: pymysql.Connection[Any], dataset: DatabaseDataset, database: str) -> Found:
    """Find what a dataset reads.

    Raises:
        SourceReadError: It is not there, or two of its columns have one name.
        EtlError: As the server says.
    """
    if dataset.query is not None:
        query = with_values(dataset.query, dataset.parameters, spell=spelled)
        selected = f"(\n{query.strip().rstrip(';')}\n) AS etl_query"
        return Found(selected, wire_types(connection, selected, dataset.name))
    listed = rows_of(
        connection,
        "SELECT table_schema, table_name, table_type, table_rows, data_length "
        f"FROM information_schema.tables WHERE table_schema NOT IN {_NOT_OURS}",
    )
    schema, name, kind, rows, size = _matching(dataset.table_ or "", listed, dataset.name, database)
    known = kind == "BASE TABLE"
    return Found(
        selected=quoted(schema, name),
        columns=wire_types(connection, quoted(schema, name), dataset.name),
        key=_keys(
            connection, f"table_schema = {spelled(schema)} AND table_name = {spelled(name)}"
        ).get((schema, name), ()),
        rows=int(rows) if known and rows is not None else None,
        bytes=int(size) if known and size is not None else None,
    )


def _matching(
    table: str, listed: Sequence[tuple[Any, ...]], dataset: str, database: str
) -> tuple[Any, ...]:
    """The relation that a name means: as it is written, or else but for case."""
    schema, _, name = table.rpartition(".")
    wanted = [(schema or database, name), (database, table)]
    for same in (str, str.lower):
        for row in listed:
            if any((same(row[0]), same(row[1])) == (same(s), same(n)) for s, n in wanted):
                return row
    known = [row[1] if row[0] == database else f"{row[0]}.{row[1]}" for row in listed]
    raise SourceReadError(
        f"{dataset}: the database has no table {table}{did_you_mean(table, known)}",
        hint="Check table: in the pipeline file; `prefect-etl connections discover` lists all.",
    )


def wire_types(
    connection: pymysql.Connection[Any], selected: str, what: str
) -> tuple[tuple[str, WireType], ...]:
    """The columns of a table or query as the server tells them with a result.

    Raises:
        SourceReadError: Two have one name.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {selected} LIMIT 0")
        # There is no other way to the lengths.
        result: Any = cursor._result  # noqa: SLF001
        fields = result.fields
    names = [str(field.name).lower() for field in fields]
    for field in fields:
        if names.count(str(field.name).lower()) > 1:
            raise SourceReadError(
                f"{what}: there are two columns named {field.name}",
                hint="Give each a name of its own with AS.",
            )
    return tuple(
        (str(f.name), WireType(f.type_code, f.charsetnr, f.length, f.scale, f.flags))
        for f in fields
    )


def _keys(
    connection: pymysql.Connection[Any], condition: str
) -> dict[tuple[str, str], tuple[str, ...]]:
    found = rows_of(
        connection,
        "SELECT table_schema, table_name, column_name FROM information_schema.statistics "
        f"WHERE index_name = 'PRIMARY' AND {condition} ORDER BY 1, 2, seq_in_index",
    )
    keys: dict[tuple[str, str], tuple[str, ...]] = {}
    for schema, name, column in found:
        keys[schema, name] = (*keys.get((schema, name), ()), column)
    return keys


def discover(config: MySqlConnection, session: object) -> list[FoundTable]:
    """All tables and views of the database, with row estimates.

    Args:
        config: Where the database is.
        session: Not needed: the server is asked.

    Raises:
        EtlError: The server cannot be asked.
    """
    del session
    database = config.default_schema
    connection = config.connect()
    with translated(config.display), connection:
        this = f"table_schema = {spelled(database)}"
        listed = rows_of(
            connection,
            "SELECT table_name, table_type, table_rows FROM information_schema.tables "
            f"WHERE {this} ORDER BY table_name",
        )
        keys = _keys(connection, this)
        found = []
        for name, kind, rows in listed:
            try:
                columns = _columns(connection, database, name)
            except EtlError as error:  # one such table must not hide the others
                logger.warning("%s is left out: %s", name, error.message)
                continue
            is_table = kind == "BASE TABLE"
            found.append(
                FoundTable(
                    schema=database,
                    name=name,
                    kind="table" if is_table else "view",
                    columns=columns,
                    key=keys.get((database, name), ()),
                    rows=int(rows) if is_table and rows is not None else None,
                )
            )
    return found


def _columns(connection: pymysql.Connection[Any], database: str, table: str) -> TableSchema:
    with translated(table):
        wires = wire_types(connection, quoted(database, table), table)
    return TableSchema(tuple(Column(name, carried(name, wire).type) for name, wire in wires))


def described(config: MySqlConnection) -> str:
    """To what a connection leads: ``MariaDB 11.4, database shop, user etl@%``.

    Raises:
        EtlError: The server does not answer, or refuses.
    """
    connection = config.connect()
    with translated(config.display), connection:
        ((version, database, user),) = rows_of(
            connection, "SELECT version(), database(), current_user()"
        )
    product = "MariaDB" if "MariaDB" in version else "MySQL"
    return f"{product} {version.partition('-')[0]}, database {database}, user {user}"


def rows_of(connection: pymysql.Connection[Any], sql: str) -> Sequence[tuple[Any, ...]]:
    """All rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: Sequence[tuple[Any, ...]] = cursor.fetchall()
        return found
