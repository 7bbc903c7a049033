"""All of a load but its COMMIT, in the order in which the transaction does it."""

from __future__ import annotations

from collections.abc import (
    Sequence,
)
from typing import (
    TYPE_CHECKING,
    Any,
)

from prefect_etl.connectors.assured import (
    assert_balanced,
    assert_current,
    assert_owned,
    table_warnings,
    values_that_fit,
)
from prefect_etl.connectors.postgres import ledger, tables
from prefect_etl.connectors.postgres.columns import assert_name
from prefect_etl.connectors.postgres.writing import Writer, spelled_as_table
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.load import Load
from prefect_etl.core.report import RuleCount
from prefect_etl.core.sql import qualified
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    from prefect_etl.engine.duckdb import Session

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"


def publish(
    connection: psycopg.Connection[Any],
    session: Session,
    table: tuple[str, str],
    load: Load,
    lineage: str,
) -> tuple[dict[int, Accounting], tuple[RuleCount, ...]]:
    """Write a load and the ledger in a transaction that is then open; the caller commits it.

    Returns:
        What became of the rows, by unit; and what is warned of.

    Raises:
        VersionConflict: The ledger is not at ``load.state`` any more.
        AccountingError: The rows do not add up.
        SchemaError: A name, a type or a value does not fit.
        ConfigError: The table belongs to another pipeline or dataset, or SQL of the user's ended
            the transaction.
    """
    for name, what in zip(table, ("schema", "table"), strict=True):
        assert_name(name, what)
    connection.execute(_BEGIN.encode())
    connection.execute(f"SET LOCAL lock_timeout = '{int(session.wait * 1000)}ms'".encode())
    ledger.lock(connection, table)
    owner, there = ledger.owner(connection, table), tables.oid_of(connection, table) is not None
    assert_owned(load, ".".join(table), owner, there=there)
    assert_current(load, ledger.read_state(connection, table))
    _run_of_user(connection, load, load.dataset.before, "before")
    if load.refresh:
        ledger.forget(connection, table)
    with values_that_fit(load):
        counts = Writer(connection, session, table, spelled_as_table(load)).write()
    assert_balanced(load, counts)
    _run_of_user(connection, load, load.dataset.after, "after")
    warned = _warnings(connection, table, load)
    ledger.record_load(connection, table, load, lineage, counts)
    return counts, warned


def _warnings(
    connection: psycopg.Connection[Any], table: tuple[str, str], load: Load
) -> tuple[RuleCount, ...]:
    from psycopg.errors import ProgrammingError

    def named(other: str) -> str:
        schema, _, name = other.rpartition(".")
        return qualified(schema or table[0], name)

    def ask(sql: str) -> Sequence[Any]:
        return connection.execute(sql.encode()).fetchone() or ()

    return table_warnings(load, qualified(*table), ask, named, (ProgrammingError,))


def _run_of_user(
    connection: psycopg.Connection[Any], load: Load, statements: Sequence[str], when: str
) -> None:
    """Run SQL of the user's, which must leave the transaction as it is."""
    for sql in statements:
        transaction = _transaction(connection)
        connection.execute(sql.encode())
        if _transaction(connection) != transaction:
            raise ConfigError(
                f"{load.dataset.name}: SQL of {when}: ends the transaction of the load: {sql}",
                hint="Leave BEGIN, COMMIT and ROLLBACK out: it runs in the load's transaction.",
            )


def _transaction(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("SELECT txid_current()").fetchone()
    return int(row[0]) if row else 0
