"""The protocols that carry every connector.

A connector is one module with a ``CONNECTOR`` constant. A source and a destination are bound to
one connection; a source to one dataset as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.manifest import LoadRecord, Manifest
from prefect_etl.core.rows import ArrowRows, Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch, Unit

__all__ = [
    "ArrowRows",
    "Closing",
    "ConnectionConfig",
    "Connector",
    "Destination",
    "FoundTable",
    "Locating",
    "Previewing",
    "Refinable",
    "Relation",
    "Resuming",
    "Rows",
    "Source",
    "Windowed",
]

if TYPE_CHECKING:
    from prefect_etl.engine.duckdb import Session


class Source(Protocol):
    """One dataset of one connection, for reading."""

    def units(self, state: LedgerState) -> Iterable[Unit]:
        """Everything there is now, known or not, in the order in which it is to be loaded.

        A file that is known and looks the same may be given with the version that the ledger has.
        """
        ...

    def batches(self, units: Sequence[Unit], state: LedgerState) -> Sequence[Batch]:
        """Group units that are to be read, in order, and say how to read them.

        Raises:
            SchemaError: It shows already here that they do not fit the table.
            SourceReadError: They cannot be read at all.
        """
        ...

    def read(self, batch: Batch) -> AbstractContextManager[Rows]:
        """Open a batch for reading.

        Leaving the context without an error asserts that nothing changed meanwhile.

        Raises:
            SourceReadError: A unit cannot be read as its format says.
            SourceChangedError: A unit changed while it was read.
        """
        ...


@runtime_checkable
class Refinable(Protocol):
    """A source that guesses how to read, and can guess better after a failure."""

    def refine(
        self, batches: Sequence[Batch], failed: Batch, table: TableSchema | None = None
    ) -> Sequence[Batch] | None:
        """New readings for all batches of a load after one could not be read; None: no better.

        Args:
            batches: All of the load.
            failed: The one that could not be read.
            table: The columns of the table that they go to, where there is one.
        """
        ...


@runtime_checkable
class Previewing(Protocol):
    """A source that knows a batch's columns before it reads it."""

    def schema(self, batch: Batch) -> TableSchema | None:
        """The columns that reading the batch will give, as far as they are known."""
        ...


@runtime_checkable
class Locating(Protocol):
    """A source of text, which can say in which line of its file a row begins."""

    def lines(
        self, unit: Unit, rows: Sequence[int], reading: Mapping[str, Any] | None = None
    ) -> Sequence[int | None]:
        """The first line, from 1, of each of some rows of a unit.

        Args:
            unit: As it was read.
            rows: Their places among the unit's rows, from 1; records that could not be read do
                not count.
            reading: How the unit's batch was read; found out anew where it is not given.

        Returns:
            As many as were asked for; None where the unit is not what it was, or has no lines.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """A source that holds something open between its reads: a snapshot, a connection."""

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        ...


@runtime_checkable
class Resuming(Protocol):
    """A source that reads in several batches, and goes on where a killed run stopped.

    Its batches are called :class:`~prefect_etl.core.unit.Batch` with a ``reading`` that tells the
    whole plan, so any of them that is in the raw zone brings back the others with the same bounds.
    """

    def resume(self, held: Sequence[Manifest], state: LedgerState) -> Sequence[Batch] | None:
        """All batches of the plan that some complete ones belong to; None: make a new plan.

        Args:
            held: Batches in the raw zone that extend the ledger's version, oldest first.
            state: What the ledger knows.
        """
        ...


@runtime_checkable
class Windowed(Protocol):
    """A source that can read any window of its cursor, for a backfill."""

    def window(self, window: Window, state: LedgerState) -> Sequence[Batch]:
        """How to read a window; the unit is remembered by the ledger.

        Raises:
            ConfigError: The dataset has no cursor, or the bounds do not fit its type.
        """
        ...


class Destination(Protocol):
    """One place with tables and the ledger beside them."""

    def state(self, dataset: DatasetSpec) -> LedgerState:
        """What the ledger knows of the dataset's table, in one snapshot."""
        ...

    def commit(self, load: Load) -> LoadResult:
        """Publish a load: rows, schema and ledger in one transaction, or nothing.

        Raises:
            VersionConflict: The ledger is not at ``load.state`` any more.
            AccountingError: The rows do not add up; nothing was published.
            SchemaError: A value does not survive the widening of its column.
            BusyError: Another process holds the destination.
            ConfigError: The table belongs to another pipeline or dataset.
        """
        ...

    def reset(self, dataset: DatasetSpec) -> None:
        """Make the next load of a dataset begin from an empty table; until then it stays."""
        ...

    def last_load(self, dataset: DatasetSpec) -> LoadRecord | None:
        """The record of the load that made the current version."""
        ...


class ConnectionConfig(BaseModel):
    """Where a system is: parsed from a URI or a mapping; secrets are ``SecretStr``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> ConnectionConfig:
        """Parse a URI; relative paths are relative to ``root``, the pipeline file's folder."""
        raise NotImplementedError("abstract: each connector parses its own URIs")

    @property
    def display(self) -> str:
        """The URI without secrets, for people."""
        raise NotImplementedError("abstract: each connector prints its own URIs")

    @property
    def default_schema(self) -> str:
        """The schema of tables that name none."""
        return "main"


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table or view that a connection has.

    Attributes:
        schema: Its schema; empty where the system has none.
        name: Its name.
        kind: ``table`` or ``view``.
        columns: With DuckDB's names of their types.
        key: The columns of its primary key.
        rows: About how many; None where the system does not know.
    """

    schema: str
    name: str
    kind: str
    columns: TableSchema
    key: tuple[str, ...] = ()
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Connector:
    """What the registry knows of a system.

    Attributes:
        name: As in error messages and the registry.
        schemes: URI schemes that it answers.
        connection: Its connection config.
        dataset: Its dataset config; None where it is not a source.
        source: Makes a source; None where it is not one.
        destination: Makes a destination; None where it is not one.
        discover: Lists the tables and views of a connection; None where it has none to list.
        test: Connects, and says in a few words to what; raises where it cannot.
        partitions: Whether its tables can have partitions by columns.
    """

    name: str
    schemes: tuple[str, ...]
    connection: type[ConnectionConfig]
    dataset: type[DatasetSpec] | None = None
    source: Callable[[Any, Any, Session], Source] | None = None
    destination: Callable[[Any, Session], Destination] | None = None
    discover: Callable[[Any, Session], Sequence[FoundTable]] | None = None
    test: Callable[[Any], str] | None = None
    partitions: bool = False
