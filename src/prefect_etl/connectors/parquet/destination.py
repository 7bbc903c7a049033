"""A folder of tables as a destination; each table is a folder of Parquet files.

A load builds the next version of the table beside the one that holds, linked to all files of it
that stay as they are, and publishes rows, schema and ledger by one rename.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import (
    Mapping,
    Sequence,
)
from dataclasses import replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
)
from uuid import uuid4

from prefect_etl.connectors.assured import (
    assert_balanced,
    assert_current,
    assert_owned,
    does_not_fit,
    table_warnings,
)
from prefect_etl.connectors.parquet.building import Building
from prefect_etl.connectors.parquet.columns import assert_partitions, kept_type
from prefect_etl.connectors.parquet.connection import ParquetConnection
from prefect_etl.connectors.parquet.layout import LEDGER, TableFolder
from prefect_etl.connectors.parquet.ledger import (
    Ledger,
    asked_to_refresh,
    counts_after,
    ledger_text,
    read_ledger,
    state_after,
)
from prefect_etl.connectors.parquet.modes import Put, put
from prefect_etl.connectors.parquet.reading import relation
from prefect_etl.connectors.parquet.writing import settle
from prefect_etl.connectors.sql.staging import table_columns
from prefect_etl.core.accounting import Accounting
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.schema import Column
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.errors import ConfigError, DataError
from prefect_etl.storage.durable import make_folder, replace_file, storage_errors
from prefect_etl.storage.lease import Lease

if TYPE_CHECKING:
    import duckdb

_RANDOM = 8


class ParquetDestination:
    """Publishes loads into folders of Parquet files.

    Args:
        connection: The folder; made at the first load.
        session: The engine that writes it.
    """

    def __init__(self, connection: ParquetConnection, session: Session) -> None:
        self._root = connection.path
        self._keep = connection.keep
        self._session = session

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table.

        Raises:
            ConfigError: The dataset asks for what a folder cannot do.
        """
        _assert_possible(dataset)
        found = self._current(self._table(dataset))
        return found[1].state if found else LedgerState()

    def states(self, datasets: Sequence[DatasetSpec]) -> list[LedgerState]:
        """What the ledgers know of several tables."""
        return [self.state(dataset) for dataset in datasets]

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        found = self._current(self._table(dataset))
        return found[1].record if found else None

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        table = self._table(dataset)
        if self._current(table) is None:
            return
        with storage_errors(f"the folder of {table.link}"), table.locked(self._session.wait):
            found = self._current(table)
            if found is not None:
                folder, ledger = found
                replace_file(folder / LEDGER, ledger_text(asked_to_refresh(ledger)), _new_id())

    def commit(self, load: Load) -> LoadResult:
        """Publish a load: build the next version, then let the table's link name it."""
        _assert_possible(load.dataset)
        table = self._table(load.dataset)
        load_id = _new_id()
        with storage_errors(f"the folder of {table.link}"):
            make_folder(table.versions)
            with Lease(table.versions, load_id):
                return self._publish(table, load, load_id)

    def _publish(self, table: TableFolder, load: Load, load_id: str) -> LoadResult:
        found = self._current(table)
        _assert_extends(found, load)
        folder = table.building(load_id)
        try:
            ledger, counts = self._build(folder, found, load, load_id)
            warned = self._warnings(folder, ledger, load)
            with table.locked(self._session.wait):
                _assert_extends(self._current(table), load)
                table.publish(folder, load.version, load_id)
                table.sweep(self._keep)
        except BaseException:  # also Ctrl-C: nobody would sweep it while this run lives
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return LoadResult(load.version, ledger.record.lineage, counts, warned)

    def _build(
        self, folder: Path, found: tuple[Path, Ledger] | None, load: Load, load_id: str
    ) -> tuple[Ledger, Mapping[int, Accounting]]:
        import duckdb

        anew = found is None or load.refresh or load.dataset.write == "replace"
        before, ledger = (None, None) if anew or found is None else found
        _assert_columns(load)
        try:
            with self._session.cursor() as cursor:
                building = Building(
                    cursor, load, before, ledger, folder, f"{load.version}-{load_id}"
                )
                there = found[1].rows if found is not None and anew else 0
                done = put(building, there)
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            raise _translated(error, load, folder) from error
        assert_balanced(load, done.counts)
        made = _ledger_after(load, found[1] if found else None, done)
        settle(folder, made, done.built.made)
        return made, done.counts

    def _warnings(self, folder: Path, ledger: Ledger, load: Load) -> tuple[RuleCount, ...]:
        import duckdb

        def named(other: str) -> str:
            schema, _, name = other.rpartition(".")
            table = TableFolder.of(self._root, schema or load.dataset.schema_ or "", name)
            found = self._current(table)
            if found is None or found[1].state.schema is None:
                raise ConfigError(f"{load.dataset.name}: contract: there is no table {other}")
            return _rows(found[0], found[1], list(found[1].state.schema))

        def ask(sql: str) -> Sequence[Any]:
            return self._session.query(sql)[0]

        wrong = (duckdb.CatalogException, duckdb.BinderException)
        return table_warnings(load, _rows(folder, ledger, table_columns(load)), ask, named, wrong)

    def _table(self, dataset: DatasetSpec) -> TableFolder:
        return TableFolder.of(self._root, dataset.schema_ or "", dataset.table)

    def _current(self, table: TableFolder) -> tuple[Path, Ledger] | None:
        folder = table.current()
        return None if folder is None else (folder, read_ledger(folder))


def _rows(folder: Path, ledger: Ledger, columns: Sequence[Column]) -> str:
    return f"({relation(folder, ledger.files, columns, ledger.partition_by)})"


def _new_id() -> str:
    return uuid4().hex[:_RANDOM]


def _ledger_after(load: Load, before: Ledger | None, done: Put) -> Ledger:
    lineage = load.lineage or uuid4().hex
    known = before.state if before else LedgerState()
    if load.refresh or load.dataset.write == "replace":
        known = replace(known, units={})
    state = state_after(load, lineage, known)
    schema = load.evolution.schema
    return Ledger(
        owner=(load.pipeline, load.dataset.name),
        state=state,
        record=LoadRecord(
            load.version, lineage, load.batches, load.run_id, load.refresh, time.time_ns()
        ),
        partition_by=tuple(schema[name].name for name in load.dataset.partition_by),
        files=done.built.files,
        counts={
            position: count
            for position, count in counts_after(load, before, done.counts).items()
            if position in state.units
        },
        tombstones=done.tombstones,
    )


def _assert_possible(dataset: DatasetSpec) -> None:
    if dataset.before or dataset.after:
        raise ConfigError(
            f"{dataset.name}: before and after are SQL in the destination, and a folder of "
            "Parquet files runs none",
            hint="Remove them.",
        )


def _assert_columns(load: Load) -> None:
    for column in load.evolution.schema:
        kept_type(column)
    assert_partitions(load.evolution.schema, load.dataset.partition_by, load.dataset.name)


def _assert_extends(found: tuple[Path, Ledger] | None, load: Load) -> None:
    state = found[1].state if found else LedgerState()
    assert_owned(load, load.dataset.table, found[1].owner if found else None, there=False)
    assert_current(load, state)


def _translated(error: duckdb.Error, load: Load, folder: Path) -> Exception:
    """An error of DuckDB's as one of ours."""
    import duckdb

    said = str(error).strip().splitlines()[0]
    if isinstance(error, duckdb.ConversionException | duckdb.OutOfRangeException):
        return does_not_fit(load, error)
    if "the name of a folder" in said:
        return DataError(
            f"{load.dataset.name}: {said.removeprefix('Invalid Input Error: ')}",
            hint="It is empty, 'null' or too long: use where: or a contract, or leave the column "
            "out of partition_by.",
        )
    return storage_error(error, f"{load.dataset.name} into {folder.parent}")
