"""All of a load but its COMMIT, in the order in which the transaction does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.postgres import ledger, tables
from prefect_etl.connectors.postgres.writing import Writer, spelled_as_table
from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.load import Load
from prefect_etl.engine.duckdb import storage_error
from prefect_etl.errors import AccountingError, ConfigError, SchemaError, VersionConflict

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
) -> dict[int, Accounting]:
    """Write a load and the ledger in a transaction that is then open; the caller commits it.

    Returns:
        What became of the rows, by unit.

    Raises:
        VersionConflict: The ledger is not at ``load.state`` any more.
        AccountingError: The rows do not add up.
        SchemaError: A name, a type or a value does not fit.
        ConfigError: The table belongs to another pipeline or dataset, or SQL of the user's ended
            the transaction.
    """
    connection.execute(_BEGIN.encode())
    connection.execute(f"SET LOCAL lock_timeout = '{int(session.wait * 1000)}ms'".encode())
    ledger.lock(connection, table)
    _assert_owned(connection, load, table)
    _assert_current(connection, load, table)
    _run_of_user(connection, load, load.dataset.before, "before")
    if load.refresh:
        ledger.forget(connection, table)
    with _values_that_fit(load):
        counts = Writer(connection, session, table, spelled_as_table(load)).write()
    _assert_balanced(load, counts)
    _run_of_user(connection, load, load.dataset.after, "after")
    ledger.record_load(connection, table, load, lineage, counts)
    return counts


def _assert_owned(connection: psycopg.Connection[Any], load: Load, table: tuple[str, str]) -> None:
    name = ".".join(table)
    found = ledger.owner(connection, table)
    mine = (load.pipeline, load.dataset.name)
    if found is not None and found != mine:
        raise ConfigError(
            f"table {name} belongs to dataset {found[1]} of pipeline {found[0]}",
            hint="Give this dataset another table with into: or schema:.",
        )
    if found is None and not load.dataset.adopt and tables.oid_of(connection, table) is not None:
        raise ConfigError(
            f"table {name} exists already and was not made by a pipeline",
            hint="Load into it with adopt: true, or give this dataset another table with into: or "
            "schema:.",
        )


def _assert_current(
    connection: psycopg.Connection[Any], load: Load, table: tuple[str, str]
) -> None:
    state = ledger.read_state(connection, table)
    if (state.version, state.lineage) != (load.state.version, load.state.lineage):
        raise VersionConflict(
            f"{load.dataset.name}: another run loaded version {state.version} while this one "
            f"prepared version {load.version}",
            hint="Nothing is lost: run again.",
        )


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


def _assert_balanced(load: Load, counts: Mapping[int, Accounting]) -> None:
    for unit in load.units:
        if not counts[unit.unit_id].balanced:
            raise AccountingError(
                f"{load.dataset.name}: {unit.unit.position} does not add up: "
                f"{counts[unit.unit_id]}",
                hint="Nothing was published. Please report this with the file.",
            )
    sums = total(list(counts.values()))
    if not sums.balanced:
        raise AccountingError(f"{load.dataset.name}: the load does not add up: {sums}")


@contextmanager
def _values_that_fit(load: Load) -> Iterator[None]:
    """Make our errors of those that the engine makes while it gives rows."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except duckdb.InterruptException:
        raise
    except (
        duckdb.ConversionException,
        duckdb.InvalidInputException,
        duckdb.OutOfRangeException,
        pa.ArrowInvalid,
    ) as error:
        raise _does_not_fit(load, error) from error
    except duckdb.Error as error:
        raise storage_error(error, load.dataset.name) from error


def _does_not_fit(load: Load, error: Exception) -> SchemaError:
    said = str(error).strip().splitlines()[0]
    return SchemaError(
        f"{load.dataset.name}: a value does not fit its column: {said}",
        hint="Pin another type with types: or columns: {cast: …}, or let a contract's type: "
        "put such rows aside.",
    )
