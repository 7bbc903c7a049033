"""DuckDB: a database file as source and destination.

The file is opened for writing only to publish, because while one process writes nobody else can
open it. Its own transactions make a load atomic: rows, schema and ledger appear together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Self,
)
from urllib.parse import unquote
from uuid import uuid4

from prefect_etl.connectors.assured import (
    assert_balanced,
    assert_current,
    assert_owned,
    does_not_fit,
    table_warnings,
)
from prefect_etl.connectors.base import ConnectionConfig, Connector
from prefect_etl.connectors.duckdb import ledger, tables, write
from prefect_etl.connectors.duckdb.discover import described, discover
from prefect_etl.connectors.duckdb.source import DuckDBDataset, DuckDBSource
from prefect_etl.connectors.duckdb.transform import DuckDBTransforms
from prefect_etl.connectors.duckdb.user_sql import run_user_sql
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.sql import qualified
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import ConfigError, DataError
from prefect_etl.storage.durable import make_folder, storage_errors

if TYPE_CHECKING:
    import duckdb

DEFAULT_SCHEMA = "main"
# DuckDB names a database as its file; these names mean something else.
_TAKEN = ("memory", "temp", "system")


class DuckDBConnection(ConnectionConfig):
    """A DuckDB database file.

    Example:
        >>> DuckDBConnection.from_uri("duckdb:///warehouse.duckdb", Path("/project")).path.name
        'warehouse.duckdb'
    """

    path: Path

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``duckdb:///relative.duckdb`` or ``duckdb:////absolute.duckdb``.

        Raises:
            ConfigError: It names no file.
        """
        path = unquote(uri.removeprefix("duckdb:").removeprefix("//").removeprefix("/"))
        if not path or path.startswith(":"):
            raise ConfigError(
                "a DuckDB connection names a file: loads are kept there",
                hint="Write duckdb:///warehouse.duckdb, or with four slashes an absolute path.",
            )
        if Path(path).stem.lower() in _TAKEN:
            raise ConfigError(
                f"a DuckDB file cannot be named {Path(path).name}: {Path(path).stem} is a name of "
                "DuckDB's own",
                hint="Give the file another name.",
            )
        return cls(path=(root / path).absolute())

    @property
    def display(self) -> str:
        """The URI."""
        return f"duckdb:///{self.path}"


class DuckDBDestination:
    """Publishes loads into a DuckDB file.

    Args:
        connection: The file; made at the first load.
        session: The engine that writes it.
    """

    def __init__(self, connection: DuckDBConnection, session: Session) -> None:
        self.path = connection.path
        self._session = session

    @property
    def tables(self) -> DuckDBTransforms:
        """Where transformations run: in the file itself."""
        return DuckDBTransforms(self.path, self._session)

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table."""
        return self.states([dataset])[0]

    def states(self, datasets: list[DatasetSpec]) -> list[LedgerState]:
        """What the ledger knows of several tables, in one snapshot."""
        if not self.path.exists():
            return [LedgerState() for _ in datasets]
        with self._session.attached(self.path, read_only=True) as cursor:
            known = ledger.exists(cursor)
            return [_state(cursor, dataset, known=known) for dataset in datasets]

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        if not self.path.exists():
            return None
        with self._session.attached(self.path, read_only=True) as cursor:
            if not ledger.exists(cursor):
                return None
            return ledger.read_last_load(cursor, _table(dataset))

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        if not self.path.exists():
            return
        with self._session.attached(self.path, read_only=False) as cursor:
            if ledger.exists(cursor):
                ledger.ask_for_refresh(cursor, _table(dataset))

    def commit(self, load: Load) -> LoadResult:
        """Publish a load in one transaction."""
        import duckdb

        with storage_errors(f"the folder of {self.path}"):
            make_folder(self.path.parent)
        with self._session.attached(self.path, read_only=False) as cursor:
            try:
                return self._publish(cursor, load)
            except duckdb.ConversionException as error:
                raise does_not_fit(load, error) from error
            except duckdb.InterruptException:
                raise
            except duckdb.Error as error:
                # Unique indexes are asked when the transaction ends.
                if "constraint violation" in str(error) or isinstance(
                    error, duckdb.ConstraintException
                ):
                    raise _constraint_error(load, error) from error
                raise storage_error(error, f"{load.dataset.name} into {self.path}") from error

    def _publish(self, cursor: duckdb.DuckDBPyConnection, load: Load) -> LoadResult:
        table = _table(load.dataset)
        ledger.create_ledger(cursor)
        cursor.begin()
        found = ledger.owner(cursor, table)
        _assert_owned(cursor, load, table, found)
        state = ledger.read_state(cursor, table)
        assert_current(load, state)
        lineage = load.lineage or uuid4().hex
        if load.refresh:
            ledger.forget(cursor, table)
        what = load.dataset.name
        run_user_sql(cursor, load.dataset.before, f"{what}: before")
        if found is None and tables.exists(cursor, table):
            tables.adopt(cursor, table, load)
        counts = write.write_rows(cursor, table, load)
        assert_balanced(load, counts)
        run_user_sql(cursor, load.dataset.after, f"{what}: after")
        warned = _warnings(cursor, table, load)
        ledger.record_load(cursor, table, load, ledger.Outcome(lineage, counts))
        cursor.commit()
        return LoadResult(load.version, lineage, counts, warned)


def _warnings(
    cursor: duckdb.DuckDBPyConnection, table: tuple[str, str], load: Load
) -> tuple[RuleCount, ...]:
    import duckdb

    def named(other: str) -> str:
        schema, _, name = other.rpartition(".")
        return qualified(schema or table[0], name)

    def ask(sql: str) -> Sequence[Any]:
        return cursor.execute(sql).fetchone() or ()

    wrong = (duckdb.CatalogException, duckdb.BinderException)
    return table_warnings(load, qualified(*table), ask, named, wrong)


def _table(dataset: DatasetSpec) -> tuple[str, str]:
    return dataset.schema_ or DEFAULT_SCHEMA, dataset.table


def _state(cursor: duckdb.DuckDBPyConnection, dataset: DatasetSpec, *, known: bool) -> LedgerState:
    table = _table(dataset)
    state = ledger.read_state(cursor, table) if known else LedgerState()
    there = tables.exists(cursor, table)
    if state.version == 0 and there and dataset.adopt:
        return replace(state, schema=tables.columns_of(cursor, table))
    return replace(state, missing=state.version > 0 and not there)


def _assert_owned(
    cursor: duckdb.DuckDBPyConnection,
    load: Load,
    table: tuple[str, str],
    found: tuple[str, str] | None,
) -> None:
    name = ".".join(table)
    if cursor.execute("SELECT current_database()").fetchone() == (table[0],):
        raise ConfigError(
            f"the schema of table {name} has the name of the database file, which is ambiguous",
            hint="Give the file or the schema another name.",
        )
    assert_owned(load, name, found, there=tables.exists(cursor, table))


def _constraint_error(load: Load, error: Exception) -> DataError:
    said = str(error).strip().splitlines()[0]
    return DataError(
        f"{load.dataset.name}: a constraint or unique index of the table refuses a row: {said}",
        hint="Nothing was published. Mend the rows, put them aside with a contract, or drop the "
        "constraint.",
    )


CONNECTOR = Connector(
    name="duckdb",
    schemes=("duckdb",),
    connection=DuckDBConnection,
    dataset=DuckDBDataset,
    source=DuckDBSource,
    destination=DuckDBDestination,
    discover=discover,
    test=described,
)
