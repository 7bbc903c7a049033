"""What a SQLite file has: tables and views, their columns, types and keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from prefect_etl.connectors.base import FoundTable
from prefect_etl.connectors.relational import DatabaseDataset, with_values
from prefect_etl.connectors.sqlite import tables
from prefect_etl.connectors.sqlite.carrying import Carried, carried, type_of, type_of_values
from prefect_etl.connectors.sqlite.connection import SqliteConnection, translated
from prefect_etl.connectors.sqlite.ledger import PREFIX
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, qualified
from prefect_etl.errors import SourceReadError

_QUERY = "_etl_query"
# The columns of a SELECT list that may have been asked for together.
_MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Found:
    """A table, view or query, as it is to be read.

    Attributes:
        selected: As it stands behind FROM.
        columns: What each column was declared as, in order; empty where nothing was said.
        table: Its name; None where it is a query.
        rowid: The name of its rows' number; None where they have none.
        key: The columns of its primary key.
    """

    selected: str
    columns: Mapping[str, str]
    table: str | None = None
    rowid: str | None = None
    key: tuple[str, ...] = ()


def reflect(connection: sqlite3.Connection, dataset: DatabaseDataset) -> Found:
    """Find what a dataset reads.

    Raises:
        SourceReadError: It is not there, or two of its columns have one name.
    """
    if dataset.query is not None:
        return _query(connection, dataset)
    name = _matching(connection, dataset.table_ or "", dataset.name)
    columns = {column.name: column.declared for column in tables.held(connection, name)}
    found = qualified("main", name)
    rowid = tables.rowid_of(connection, name)
    return Found(found, columns, name, rowid, _key(connection, name))


def _query(connection: sqlite3.Connection, dataset: DatabaseDataset) -> Found:
    query = with_values(dataset.query or "", dataset.parameters).strip().rstrip(";")
    selected = f"(\n{query}\n)"
    with translated(f"{dataset.name}: query"):
        names = [n for n, *_ in connection.execute(f"SELECT * FROM {selected} LIMIT 0").description]
        # A view tells as what the columns behind it were declared, and takes one SELECT only.
        connection.execute(f"CREATE TEMP VIEW {_QUERY} AS {query}")
        declared = [column.declared for column in tables.held(connection, _QUERY)]
        connection.execute(f"DROP VIEW {_QUERY}")
    known = {name.lower() for name in names}
    for name in names:
        again, _, number = name.rpartition(":")  # so SQLite makes the second of two names
        if number.isdigit() and again.lower() in known:
            raise SourceReadError(
                f"{dataset.name}: the query has two columns named {again}",
                hint="Give each a name of its own with AS.",
            )
    return Found(selected, dict(zip(names, declared, strict=True)))


def _matching(connection: sqlite3.Connection, wanted: str, dataset: str) -> str:
    names = [name for name, _ in _relations(connection)]
    for table in (wanted, wanted.removeprefix("main.")):
        for name in names:
            if name.lower() == table.lower():
                return name
    raise SourceReadError(
        f"{dataset}: the file has no table {wanted}{did_you_mean(wanted, names)}",
        hint="Check table: in the pipeline file; `prefect-etl connections discover` lists all.",
    )


def _relations(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    found = connection.execute(
        "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
        "AND substr(name, 1, 7) <> 'sqlite_' ORDER BY name"
    )
    return [(name, kind) for name, kind in found if not name.startswith(PREFIX)]


def _key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    found = connection.execute(
        "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
    )
    return tuple(name for (name,) in found)


def all_carried(
    connection: sqlite3.Connection, found: Found, dataset: DatabaseDataset
) -> list[Carried]:
    """How the columns travel; those of which no type was said are looked at, all rows of them."""
    pins = {name.lower(): kind for name, kind in dataset.types.items()}
    wanted = dataset.wanted_columns(found.columns)
    kinds = {name: pins.get(name.lower(), type_of(found.columns[name])) for name in wanted}
    unsaid = [name for name, kind in kinds.items() if kind is None]
    for start in range(0, len(unsaid), _MOST_AT_ONCE):
        kinds |= _looked_at(connection, found, unsaid[start : start + _MOST_AT_ONCE], dataset.name)
    return [
        carried(name, kind or UNKNOWN, found.columns[name], placed=found.rowid is not None)
        for name, kind in kinds.items()
    ]


def _looked_at(
    connection: sqlite3.Connection, found: Found, names: Sequence[str], dataset: str
) -> dict[str, str | None]:
    classes = ", ".join(f"group_concat(DISTINCT typeof({identifier(name)}))" for name in names)
    with translated(dataset):
        row = connection.execute(f"SELECT {classes} FROM {found.selected}").fetchone()
    return {name: type_of_values(_classes(text)) for name, text in zip(names, row, strict=True)}


def _classes(text: str | None) -> Collection[str]:
    return text.split(",") if text else ()


def discover(config: SqliteConnection, session: object) -> list[FoundTable]:
    """All tables and views.

    Args:
        config: Where the file is.
        session: Not needed: the file is asked.

    Raises:
        EtlError: The file cannot be read.
    """
    del session
    connection = config.connect()
    try:
        with translated(config.display):
            return [_described(connection, name, kind) for name, kind in _relations(connection)]
    finally:
        connection.close()


def _described(connection: sqlite3.Connection, name: str, kind: str) -> FoundTable:
    columns = TableSchema(
        tuple(
            Column(column.name, type_of(column.declared) or "VARCHAR")
            for column in tables.held(connection, name)
        )
    )
    return FoundTable("", name, kind, columns, _key(connection, name), _estimate(connection, name))


def _estimate(connection: sqlite3.Connection, table: str) -> int | None:
    """The highest row number: it is there without counting."""
    rowid = tables.rowid_of(connection, table)
    if rowid is None:
        return None
    (highest,) = connection.execute(f"SELECT max({rowid}) FROM {identifier(table)}").fetchone()
    return max(int(highest), 0) if highest is not None else 0


def described(config: SqliteConnection) -> str:
    """To what a connection leads: ``SQLite 3.45.1, file /data/shop.sqlite``.

    Raises:
        EtlError: The file cannot be read.
    """
    config.connect().close()
    return f"SQLite {sqlite3.sqlite_version}, file {config.path}"
