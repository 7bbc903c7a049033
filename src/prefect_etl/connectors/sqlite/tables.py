"""What the file says of a table, and how a table is made or taken over.

Columns are told by ``pragma table_xinfo`` (https://www.sqlite.org/pragma.html).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from prefect_etl.connectors.sql.staging import table_columns
from prefect_etl.connectors.sqlite.carrying import type_of
from prefect_etl.connectors.sqlite.columns import affinity_of, all_carried
from prefect_etl.core.load import Load
from prefect_etl.core.rows import RESERVED_PREFIX, ROW_HASH, UNIT_ID, VALID_FROM, VALID_TO
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import identifier, literals
from prefect_etl.errors import ConfigError, DataError, SchemaError

_ROWIDS = ("rowid", "_rowid_", "oid")
_VERSIONED = (VALID_FROM, VALID_TO, ROW_HASH)


@dataclass(frozen=True, slots=True)
class Held:
    """A column that a table has.

    Attributes:
        name: Its name.
        declared: What it was declared as.
        plain: Whether nothing else was said of it: no key, no default, no NOT NULL.
        generated: Whether SQLite computes it.
    """

    name: str
    declared: str
    plain: bool
    generated: bool


def kind_of(connection: sqlite3.Connection, table: str) -> str | None:
    """``table`` or ``view``; None where there is none of this name."""
    found = connection.execute(
        "SELECT type FROM sqlite_master WHERE type IN ('table', 'view') AND lower(name) = lower(?)",
        (table,),
    ).fetchone()
    return str(found[0]) if found else None


def held(connection: sqlite3.Connection, table: str) -> list[Held]:
    """The columns of a table."""
    found = connection.execute("SELECT * FROM pragma_table_xinfo(?)", (table,)).fetchall()
    return [
        Held(name, declared or "", not (notnull or key or hidden) and default is None, hidden > 1)
        for _, name, declared, notnull, default, key, hidden in found
        if hidden != 1
    ]


def columns_of(connection: sqlite3.Connection, table: str) -> TableSchema:
    """The columns of a table but those of ours, as far as their types are known."""
    return TableSchema.from_pairs(
        (column.name, type_of(column.declared) or UNKNOWN)
        for column in held(connection, table)
        if not column.name.startswith(RESERVED_PREFIX)
        and column.name not in (VALID_FROM, VALID_TO)
        and not column.generated
    )


def rowid_of(connection: sqlite3.Connection, table: str) -> str | None:
    """A name of the row's number that no column has; None where rows have no number."""
    if kind_of(connection, table) != "table":
        return None
    taken = {column.name.lower() for column in held(connection, table)}
    for name in _ROWIDS:
        if name in taken:
            continue
        try:
            connection.execute(f"SELECT {name} FROM {identifier(table)} LIMIT 0")
        except sqlite3.OperationalError:  # WITHOUT ROWID
            return None
        return name
    return None


def count(connection: sqlite3.Connection, table: str) -> int:
    """How many rows a table has."""
    row = connection.execute(f"SELECT count(*) FROM {identifier(table)}").fetchone()
    return int(row[0])


def create(connection: sqlite3.Connection, table: str, columns: Sequence[Column]) -> None:
    """Make a table."""
    given = ", ".join(
        f"{identifier(c.name)} {c.kind}{' NOT NULL' if c.name == VALID_FROM else ''}"
        for c in all_carried(columns, table)
    )
    connection.execute(f"CREATE TABLE {identifier(table)} ({given})")


def adopt(connection: sqlite3.Connection, table: str, load: Load) -> None:
    """Make ready a table that no pipeline made.

    Raises:
        ConfigError: It is a view, has no row numbers, or not the columns of an ``scd2`` table.
        SchemaError: It lacks a column.
        DataError: Its rows cannot be told by the dataset's key.
    """
    if kind_of(connection, table) == "view":
        raise ConfigError(f"{table} is a view, and only tables can be adopted")
    if rowid_of(connection, table) is None:
        raise ConfigError(
            f"table {table} cannot be adopted: it is WITHOUT ROWID",
            hint="Load into a new table.",
        )
    dataset, present = load.dataset, {column.name for column in held(connection, table)}
    if dataset.write == "scd2" and not present.issuperset(_VERSIONED):
        raise ConfigError(
            f"table {table} cannot be adopted by write: scd2: it has not the columns "
            f"{', '.join(_VERSIONED)}",
            hint="Load into a new table, and copy the old one's versions into that.",
        )
    added = {column.name for column in load.evolution.added}
    lacking = [n for n in load.evolution.schema.names if n not in present | added]
    if lacking:
        raise SchemaError(
            f"table {table} has no column {', '.join(lacking)}",
            hint="Add it, or leave it out with columns: {drop: …}.",
        )
    if dataset.carries_unit and UNIT_ID not in present:
        connection.execute(f"ALTER TABLE {identifier(table)} ADD COLUMN {UNIT_ID} BIGINT")
    if dataset.write == "merge":
        _assert_key(connection, table, dataset.key)


def _assert_key(connection: sqlite3.Connection, table: str, key: Sequence[str]) -> None:
    keys = ", ".join(map(identifier, key))
    twice = connection.execute(
        f"SELECT {keys} FROM {identifier(table)} GROUP BY {keys} HAVING count(*) > 1 LIMIT 1"
    ).fetchone()
    if twice is not None:
        raise DataError(
            f"table {table} has several rows with the key {literals(twice)}",
            hint="Remove all but one of each, or give the dataset another key.",
        )


def assert_holds(connection: sqlite3.Connection, table: str, load: Load) -> None:
    """Make sure that SQLite leaves the values of a load as they are.

    Raises:
        SchemaError: A column was declared so that it converts them.
    """
    present = {c.name.lower(): c.declared for c in held(connection, table)}
    for column in all_carried(table_columns(load), load.dataset.name):
        declared = present.get(column.name.lower(), column.kind)
        if affinity_of(declared) not in column.fitting:
            raise SchemaError(
                f"{load.dataset.name}: column {column.name} of table {table} is declared as "
                f"{declared}, which would change values that are to be {column.kind}",
                hint="Cast it with columns: {cast: …}, or load into a new table.",
            )


def ensure_keys(connection: sqlite3.Connection, table: str, key: Sequence[str]) -> None:
    """Give a table the index by which its rows are found, where it has none that is unique."""
    if _has_unique(connection, table, {name.lower() for name in key}):
        return
    columns = ", ".join(map(identifier, key))
    name = identifier(_free_name(connection, f"{table}_key"))
    connection.execute(f"CREATE UNIQUE INDEX {name} ON {identifier(table)} ({columns})")


def drop_other_keys(connection: sqlite3.Connection, table: str, key: Sequence[str]) -> None:
    """Drop an index of ours where it is of other columns: an earlier load had another key."""
    wanted = {name.lower() for name in key}
    for name, columns in _unique(connection, table):
        if name.startswith(f"{table}_key") and columns != wanted:
            connection.execute(f"DROP INDEX {identifier(name)}")


def _has_unique(connection: sqlite3.Connection, table: str, columns: set[str]) -> bool:
    whole_key = _primary(connection, table)
    if whole_key and set(whole_key) <= columns:
        return True
    return any(found <= columns for _, found in _unique(connection, table))


def _primary(connection: sqlite3.Connection, table: str) -> list[str]:
    found = connection.execute(
        "SELECT lower(name) FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,)
    )
    return [name for (name,) in found]


def _unique(connection: sqlite3.Connection, table: str) -> list[tuple[str, set[str]]]:
    found = connection.execute(
        'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial', (table,)
    ).fetchall()
    return [
        (
            name,
            {
                str(column).lower()
                for (column,) in connection.execute(
                    "SELECT name FROM pragma_index_info(?)", (name,)
                )
            },
        )
        for (name,) in found
    ]


def _free_name(connection: sqlite3.Connection, wanted: str) -> str:
    taken = {name for (name,) in connection.execute("SELECT lower(name) FROM sqlite_master")}
    names = (wanted if number == 1 else f"{wanted}_{number}" for number in range(1, len(taken) + 3))
    return next(name for name in names if name.lower() not in taken)
