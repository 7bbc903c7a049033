"""Tables in this process: the reference that other destinations are compared with, and a double.

It says in plain Python, row by row, what a load does to a table; nothing here is fast. What it
holds ends with the process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote
from uuid import uuid4

from pydantic import Field

from prefect_etl.connectors.assured import (
    assert_current,
    assert_owned,
    table_warnings,
)
from prefect_etl.connectors.base import ArrowRows, ConnectionConfig, Connector, Rows
from prefect_etl.connectors.memory.load import MemoryTable, given, publish
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.report import RuleCount
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, SourceChangedError, SourceReadError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class MemoryStore:
    """What one name holds: Arrow tables to read from, and loaded tables with their ledger.

    Example:
        >>> shop = store("example of a shop")
        >>> shop.put("orders", [{"id": 1}, {"id": 2}])
        >>> shop.frames["orders"].num_rows
        2
    """

    frames: dict[str, pa.Table] = field(default_factory=dict)
    tables: dict[tuple[str, str], MemoryTable] = field(default_factory=dict)
    guard: threading.RLock = field(default_factory=threading.RLock)

    def put(self, name: str, rows: Any) -> None:
        """Set a table to read from: a list of dicts, or anything that Arrow takes for a table."""
        import pyarrow as pa

        self.frames[name] = pa.Table.from_pylist(rows) if isinstance(rows, list) else pa.table(rows)

    def rows(self, table: str, schema: str = "main") -> list[dict[str, Any]]:
        """The rows of a loaded table, without the columns of the ledger, in no order."""
        found = self.tables.get((schema, table))
        return [] if found is None else [dict(row.values) for row in found.rows]


_stores: dict[str, MemoryStore] = {}
_guard = threading.Lock()


def store(name: str) -> MemoryStore:
    """What ``memory://name`` stands for in this process; empty at first."""
    with _guard:
        return _stores.setdefault(name, MemoryStore())


class MemoryConnection(ConnectionConfig):
    """The name of a store.

    Example:
        >>> MemoryConnection.from_uri("memory://shop", Path()).name
        'shop'
    """

    name: str

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``memory://name``."""
        del root  # nothing here is in a folder
        return cls(name=unquote(uri.removeprefix("memory:").removeprefix("//")))

    @property
    def display(self) -> str:
        """The URI."""
        return f"memory://{self.name}"


class MemoryDataset(DatasetSpec):
    """A table that was put into the store."""

    table_: str | None = Field(
        None, alias="table", min_length=1, description="Its name; the dataset's if not given."
    )


class MemorySource:
    """Reads one table; its content is its version, as with files.

    Args:
        connection: The store.
        dataset: Which table.
        session: Not used.
    """

    def __init__(
        self, connection: MemoryConnection, dataset: MemoryDataset, session: Session
    ) -> None:
        del session
        self._store = store(connection.name)
        self._where = connection.display
        self._table = dataset.table_ or dataset.name

    def units(self, state: LedgerState) -> list[Unit]:
        """One: the table as it is now."""
        del state
        frame = self._frame()
        return [Unit(self._table, _digest(frame), size=frame.nbytes)]

    def batches(self, units: Sequence[Unit], state: LedgerState) -> list[Batch]:
        """One for each unit."""
        del state
        return [Batch((unit,)) for unit in units]

    @contextmanager
    def read(self, batch: Batch) -> Iterator[Rows]:
        """Give the table.

        Raises:
            SourceChangedError: It is another one than was planned.
        """
        frame = self._frame()
        if _digest(frame) != batch.units[0].version:
            raise SourceChangedError(f"{self._where}: {self._table} changed", hint="Run again.")
        yield ArrowRows(frame.to_reader())

    def _frame(self) -> pa.Table:
        found = self._store.frames.get(self._table)
        if found is None:
            near = did_you_mean(self._table, self._store.frames)
            raise SourceReadError(
                f"{self._where} has no table {self._table}{near}",
                hint="Put one there: prefect_etl.connectors.memory.store(name).put(table, rows).",
            )
        return found


def _digest(frame: pa.Table) -> str:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, frame.schema) as stream:
        stream.write_table(frame.combine_chunks())
    return sha256(sink.getvalue()).hexdigest()[:32]


class MemoryDestination:
    """Keeps tables and their ledger in this process.

    Args:
        connection: The store.
        session: Runs the SQL of a load.
    """

    def __init__(self, connection: MemoryConnection, session: Session) -> None:
        self._store = store(connection.name)
        self._session = session

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table."""
        found = self._store.tables.get(_key(dataset))
        return LedgerState() if found is None else found.state

    def states(self, datasets: Sequence[DatasetSpec]) -> list[LedgerState]:
        """What the ledger knows of several tables."""
        return [self.state(dataset) for dataset in datasets]

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        with self._store.guard:
            found = self._store.tables.get(_key(dataset))
            if found is not None:
                asked = replace(found, state=replace(found.state, refresh=True))
                self._store.tables[_key(dataset)] = asked

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        found = self._store.tables.get(_key(dataset))
        return None if found is None else found.record

    def commit(self, load: Load) -> LoadResult:
        """Publish a load: the new table takes the old one's place at once.

        Raises:
            ConfigError: The dataset has SQL of its own, and nothing here could run it.
        """
        if load.dataset.before or load.dataset.after:
            raise ConfigError(
                f"{load.dataset.name}: before and after are SQL, and a store in memory has none",
                hint="Leave them out, or load into a database.",
            )
        brought = given(self._session, load)
        with self._store.guard:
            before = self._store.tables.get(_key(load.dataset), MemoryTable())
            owner = (load.pipeline, load.dataset.name)
            assert_owned(load, load.dataset.table, before.owner, there=False)
            assert_current(load, before.state)
            lineage = load.lineage or uuid4().hex
            after, counts = publish(before, load, brought)
            after = replace(
                after,
                owner=owner,
                state=replace(after.state, lineage=lineage),
                record=replace(after.record, lineage=lineage) if after.record else None,
            )
            warned = self._warnings(load, after)
            self._store.tables[_key(load.dataset)] = after
        return LoadResult(load.version, lineage, counts, warned)

    def _warnings(self, load: Load, after: MemoryTable) -> tuple[RuleCount, ...]:
        """Rules on the whole table; the engine is asked, with the table as Arrow."""
        import duckdb
        import pyarrow as pa

        def named(other: str) -> str:
            schema, _, name = other.rpartition(".")
            found = self._store.tables.get((schema or _key(load.dataset)[0], name))
            if found is None:
                raise ConfigError(f"{load.dataset.name}: contract: there is no table {other}")
            return shown("_etl_other", found)

        def shown(name: str, table: MemoryTable) -> str:
            columns = {n: None for row in table.rows for n in row.values}
            columns |= {n: None for n in load.evolution.schema.names if table is after}
            cursor.register(
                name, pa.table({n: [row.values.get(n) for row in table.rows] for n in columns})
            )
            return name

        def ask(sql: str) -> Sequence[Any]:
            return cursor.execute(sql).fetchone() or ()

        wrong = (duckdb.CatalogException, duckdb.BinderException)
        with self._session.cursor() as cursor:
            if load.dataset.contract is None or load.dataset.contract.table is None:
                return ()
            return table_warnings(load, shown("_etl_table", after), ask, named, wrong)


def _key(dataset: DatasetSpec) -> tuple[str, str]:
    return dataset.schema_ or "main", dataset.table


CONNECTOR = Connector(
    name="memory",
    schemes=("memory",),
    connection=MemoryConnection,
    dataset=MemoryDataset,
    source=MemorySource,
    destination=MemoryDestination,
)
