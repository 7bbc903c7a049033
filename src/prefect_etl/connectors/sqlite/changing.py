"""Changes a table as an evolution says, or empties it with all that hangs on it.

Indexes and triggers belong to a table and go with it, so they are made again where it is made anew
(https://www.sqlite.org/lang_altertable.html). Views know tables by name only.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from prefect_etl.connectors.sql.staging import table_columns
from prefect_etl.connectors.sqlite import tables
from prefect_etl.connectors.sqlite.columns import all_carried
from prefect_etl.connectors.sqlite.values import Widening
from prefect_etl.core.load import Load
from prefect_etl.core.rows import RESERVED_PREFIX, VALID_FROM
from prefect_etl.core.schema import UNKNOWN
from prefect_etl.core.sql import identifier
from prefect_etl.errors import SchemaError

logger = logging.getLogger(__name__)
_NEW = f"{RESERVED_PREFIX}new"


def alter(connection: sqlite3.Connection, table: str, load: Load) -> None:
    """Add and widen columns, in the open transaction.

    Raises:
        SchemaError: A value would not survive the widening of its column, or the table has what a
            new one would not.
    """
    for column in all_carried(load.evolution.added, load.dataset.name):
        if column.name.lower() in {c.name.lower() for c in tables.held(connection, table)}:
            continue
        new = f"{identifier(column.name)} {column.kind}"
        connection.execute(f"ALTER TABLE {identifier(table)} ADD COLUMN {new}")
    widened = {n: (old, new) for n, old, new in load.evolution.widened if old != UNKNOWN}
    kinds = {
        c.name: c.kind
        for c in all_carried(load.evolution.schema, load.dataset.name)
        if c.name in widened
    }
    if all(c.declared == kinds.get(c.name, c.declared) for c in tables.held(connection, table)):
        return
    _widen(connection, table, load.dataset.name, widened, kinds)


def _widen(
    connection: sqlite3.Connection,
    table: str,
    dataset: str,
    widened: dict[str, tuple[str, str]],
    kinds: dict[str, str],
) -> None:
    """Make the table anew with other types: SQLite cannot change one."""
    changes = ", ".join(f"{n} from {old} to {new}" for n, (old, new) in widened.items())
    if is_constrained(connection, table):
        raise SchemaError(
            f"{dataset}: {changes} would be widened, and table {table} has constraints or defaults "
            "that SQLite would lose",
            hint="Change the columns of the table yourself, or pin types: {column: type}.",
        )
    columns, widening = tables.held(connection, table), Widening(connection)
    given = ", ".join(
        f"{identifier(c.name)} {kinds.get(c.name, c.declared)}"
        f"{' NOT NULL' if c.name == VALID_FROM else ''}"
        for c in columns
    )
    values = ", ".join(
        widening.sql(identifier(c.name), *widened[c.name])
        if c.name in widened
        else identifier(c.name)
        for c in columns
    )
    name, new = identifier(table), identifier(_NEW)
    with belongings_kept(connection, table, dataset):
        connection.execute(f"CREATE TABLE {new} ({given})")
        connection.execute(f"INSERT INTO {new} SELECT {values} FROM {name}")
        if widening.changed is not None:
            raise SchemaError(
                f"{dataset}: column {changes} would be widened, and its value "
                f"{widening.changed} would change",
                hint="Pin its type with types: {column: type}.",
            )
        connection.execute(f"DROP TABLE {name}")
        connection.execute("PRAGMA legacy_alter_table = ON")  # views keep the name they know
        connection.execute(f"ALTER TABLE {new} RENAME TO {name}")
        connection.execute("PRAGMA legacy_alter_table = OFF")


def is_constrained(connection: sqlite3.Connection, table: str) -> bool:
    """Whether the table was declared with more than columns and their types."""
    sql = connection.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (table,)
    ).fetchone()
    # Names and text are left out, which may hold any word.
    words = re.sub(r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|`[^`]*`|\[[^\]]*\]", " ", sql[0]).upper()
    others = r"\b(CHECK|REFERENCES|UNIQUE|PRIMARY|COLLATE|GENERATED|STRICT|CONSTRAINT|VIRTUAL)\b"
    plain = all(c.plain or c.name == VALID_FROM for c in tables.held(connection, table))
    return not plain or re.search(others, words) is not None


@contextmanager
def belongings_kept(connection: sqlite3.Connection, table: str, dataset: str) -> Iterator[None]:
    """Exchange the contents of a table, or the table itself, and keep its indexes and triggers.

    Indexes are made anew at the end, which is faster. What does not fit the table any more is told.
    """
    found = _belongings(connection, table)
    for name, (kind, _) in found.items():
        if kind == "index":
            connection.execute(f"DROP INDEX {identifier(name)}")
    yield
    left = _belongings(connection, table)
    for name, (_, sql) in found.items():
        if name in left:
            continue
        try:
            connection.execute(sql)
        except sqlite3.OperationalError as error:  # a column is gone; the transaction goes on
            logger.warning("%s: not put back: %s (%s)", dataset, sql, error)


def _belongings(connection: sqlite3.Connection, table: str) -> dict[str, tuple[str, str]]:
    """Indexes and triggers by name: what they are, and their SQL."""
    found = connection.execute(
        "SELECT name, type, sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) "
        "AND type IN ('index', 'trigger') AND sql IS NOT NULL ORDER BY rowid",
        (table,),
    )
    return {name: (kind, sql) for name, kind, sql in found}


def renew(connection: sqlite3.Connection, table: str, load: Load) -> int:
    """Make the table without rows, in the open transaction.

    Returns:
        How many rows it had.
    """
    columns, name = table_columns(load), identifier(table)
    if tables.kind_of(connection, table) is None:
        tables.create(connection, table, columns)
        return 0
    removed = tables.count(connection, table)
    wanted = [(c.name, c.kind) for c in all_carried(columns, load.dataset.name)]
    if [(c.name, c.declared) for c in tables.held(connection, table)] == wanted:
        connection.execute(f"DELETE FROM {name}")
        return removed
    if is_constrained(connection, table):
        if _fits(connection, table, load):
            connection.execute(f"DELETE FROM {name}")
            return removed
        logger.warning(
            "%s: table %s is made anew with other columns, without its constraints",
            load.dataset.name,
            table,
        )
    connection.execute(f"DROP TABLE {name}")
    tables.create(connection, table, columns)
    return removed


def _fits(connection: sqlite3.Connection, table: str, load: Load) -> bool:
    """Whether a table that somebody else declared can hold the rows."""
    present = {c.name.lower() for c in tables.held(connection, table)}
    for column in all_carried(table_columns(load), load.dataset.name):
        if column.name.lower() not in present:
            return False
    try:
        tables.assert_holds(connection, table, load)
    except SchemaError:
        return False
    return True
