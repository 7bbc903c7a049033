"""What every destination makes sure of before it publishes, and says where it is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect_etl.core.accounting import Accounting, total
from prefect_etl.core.contract import table_checks
from prefect_etl.core.contract.table import columns_of
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import VALID_TO
from prefect_etl.engine.duckdb import storage_error
from prefect_etl.errors import (
    AccountingError,
    ConfigError,
    ContractError,
    SchemaError,
    VersionConflict,
)


def assert_current(load: Load, state: LedgerState) -> None:
    """Make sure that the ledger is where the load was prepared.

    Args:
        load: The load.
        state: What the ledger says, within the load's transaction.

    Raises:
        VersionConflict: Another run was first.
    """
    if (state.version, state.lineage) != (load.state.version, load.state.lineage):
        raise VersionConflict(
            f"{load.dataset.name}: another run loaded version {state.version} while this one "
            f"prepared version {load.version}",
            hint="Nothing is lost: run again.",
        )


def assert_owned(load: Load, table: str, owner: tuple[str, str] | None, *, there: bool) -> None:
    """Make sure that a table is this dataset's, new, or given to it.

    Args:
        load: The load.
        table: The table, as people read it.
        owner: The pipeline and dataset that the ledger names; None if it names none.
        there: Whether there is such a table.

    Raises:
        ConfigError: It belongs to another dataset, or to somebody who did not give it away.
    """
    if owner is not None and owner != (load.pipeline, load.dataset.name):
        raise ConfigError(
            f"table {table} belongs to dataset {owner[1]} of pipeline {owner[0]}",
            hint="Give this dataset another table with into: or schema:.",
        )
    if owner is None and there and not load.dataset.adopt:
        raise ConfigError(
            f"table {table} exists already and was not made by a pipeline",
            hint="Load into it with adopt: true, or give this dataset another table with into: or "
            "schema:.",
        )


def assert_balanced(load: Load, counts: Mapping[int, Accounting]) -> None:
    """Make sure that every row that was read is accounted for.

    Args:
        load: The load.
        counts: Where its rows went, by unit id.

    Raises:
        AccountingError: They do not add up.
    """
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


def table_warnings(
    load: Load,
    table: str,
    ask: Callable[[str], Sequence[Any]],
    named: Callable[[str], str],
    wrong: tuple[type[Exception], ...],
) -> tuple[RuleCount, ...]:
    """Ask the rules on the whole table, after the load's rows are in it and before it is published.

    Args:
        load: The load.
        table: The table, as SQL.
        ask: Runs a SELECT of one row within the load's transaction.
        named: Another table, as SQL.
        wrong: What the engine raises for a table or column that is not there.

    Returns:
        What is broken and only warned of.

    Raises:
        ContractError: A rule that fails the load is broken.
        ConfigError: A rule cannot be asked.
    """
    rules = load.dataset.contract.table if load.dataset.contract else None
    if rules is None:
        return ()
    missing = sorted(n for n in columns_of(rules) if load.evolution.schema.find(n) is None)
    if missing:
        raise ConfigError(
            f"{load.dataset.name}: contract: table: there is no column {', '.join(missing)}",
            hint=f"There is {', '.join(load.evolution.schema.names)}.",
        )
    rows = table
    if load.dataset.write == "scd2":  # of the versions those that hold now
        rows = f"(SELECT * FROM {table} v WHERE v.{VALID_TO} IS NULL)"
    warned = []
    for check in table_checks(rules, datetime.now(UTC)):
        try:
            said = check.judge(ask(check.sql(rows, named)))
        except wrong as error:
            raise ConfigError(
                f"{load.dataset.name}: contract: {check.name} cannot be asked: "
                f"{str(error).strip().splitlines()[0]}",
                hint="Tables are named as in the destination: table.column or schema.table.column.",
            ) from error
        if said is None:
            continue
        if check.severity == "fail":
            raise ContractError(
                f"{load.dataset.name}: the contract is broken: {said} ({check.name})",
                hint="Nothing was published. Mend the data, or change the contract.",
            )
        warned.append(RuleCount(check.name, said, 0, "warn"))
    return tuple(warned)


def does_not_fit(load: Load, error: Exception) -> SchemaError:
    """The error of a value that its column cannot hold.

    Args:
        load: The load.
        error: The engine's.
    """
    said = str(error).strip().splitlines()[0]
    return SchemaError(
        f"{load.dataset.name}: a value does not fit its column: {said}",
        hint="Pin another type with types: or columns: {cast: …}, or let a contract's type: "
        "put such rows aside.",
    )


@contextmanager
def values_that_fit(load: Load) -> Iterator[None]:
    """Make our errors of those that the engine makes while it gives a load's rows.

    Raises:
        SchemaError: A value does not fit its column.
        StorageError: The engine has no disk or memory left.
    """
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
        raise does_not_fit(load, error) from error
    except duckdb.Error as error:
        raise storage_error(error, load.dataset.name) from error
