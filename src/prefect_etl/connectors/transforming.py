"""The protocol of a destination in which transformations run.

A destination that has it makes tables out of its tables, by its own SQL or from rows that a Python
function gives. All knowledge of its dialect is behind it: which text is one SELECT that reads
tables and nothing else, how a result is staged, and how it is published together with the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from prefect_etl.core.rows import Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.warehouse import Read, Snapshot, TableRef, TableVersion

Versions = Mapping[TableRef, TableVersion | None]


@dataclass(frozen=True, slots=True)
class Select:
    """A text that was found to be one SELECT that reads tables and nothing else.

    Attributes:
        sql: The text.
        reads: The tables that it names, each once; whether they exist is not known.
        parameters: The names of its ``$name`` placeholders.
        bare: Those of ``reads`` that it names without a schema.
    """

    sql: str
    reads: tuple[TableRef, ...]
    parameters: frozenset[str] = frozenset()
    bare: frozenset[TableRef] = frozenset()


@dataclass(frozen=True, slots=True)
class Fetched:
    """Whole tables as Arrow, and their versions in the snapshot that they were read from."""

    tables: Mapping[TableRef, Any]
    versions: Versions


@dataclass(frozen=True, slots=True)
class Staged:
    """A result that is not published yet.

    Attributes:
        relation: SQL that names it, for checks; empty where only its columns were found out.
        columns: Its columns; a column of rows given as Arrow that holds nothing but nulls has the
            type ``NULL``.
        rows: How many it has; None where only its columns were found out.
        versions: Of the tables that were read for it, in the snapshot that they were read from.
    """

    relation: str
    columns: TableSchema
    rows: int | None
    versions: Versions = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to become of a staged result.

    Attributes:
        pipeline: The owner of the table.
        name: The transformation's name.
        table: The table to make.
        kind: ``table``, ``view`` or ``incremental``.
        key: The columns by which an incremental result is merged.
        staged: The result.
        view: The SELECT to store, for a view.
        fingerprint: What decides the result, for the ledger.
        reads: What was read, with versions, for the ledger.
        built_on: The version of the table when the work began, None if it was never built: the
            publication is refused if it is another one by then.
        run_id: The run that publishes.
        refresh: Replace an incremental table instead of merging into it.
    """

    pipeline: str
    name: str
    table: TableRef
    kind: str
    key: tuple[str, ...]
    staged: Staged
    view: Select | None
    fingerprint: Mapping[str, str]
    reads: tuple[Read, ...]
    built_on: TableVersion | None
    run_id: str
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """What was published: the table's new version, and its rows (None for a view)."""

    version: TableVersion
    rows: int | None


@runtime_checkable
class SqlTables(Protocol):
    """A destination in which transformations run."""

    @property
    def default_schema(self) -> str:
        """The schema of tables that are named without one."""
        ...

    def snapshot(self) -> Snapshot:
        """What the destination holds now."""
        ...

    def select(self, sql: str) -> Select:
        """Find out what a SELECT reads.

        Raises:
            ConfigError: It is not one SELECT, or would read files or the network.
        """
        ...

    def condition(self, sql: str) -> None:
        """Make sure that a text is one condition on the columns of a row.

        Raises:
            ConfigError: It is not, or has a subquery.
        """
        ...

    def bind(self, select: Select, values: Mapping[str, Any]) -> Select:
        """A SELECT with its parameters written out, for a view.

        Raises:
            ConfigError: A value cannot be written.
        """
        ...

    def fetch(self, tables: Sequence[TableRef]) -> Fetched:
        """Whole tables, all from one snapshot.

        Raises:
            DataError: One of them does not exist.
        """
        ...

    def stage(
        self, rows: Rows, reads: Sequence[TableRef] = (), *, keep_rows: bool = True
    ) -> AbstractContextManager[Staged]:
        """Compute a result and keep it aside for as long as the context is open.

        Args:
            rows: A SELECT in the destination's own SQL, as it came from :meth:`select`, with its
                parameters; or rows as Arrow.
            reads: The tables that the SELECT reads.
            keep_rows: Compute the rows; otherwise only the columns are found out.

        Raises:
            DataError: A table does not exist, or a value does not fit.
            ConfigError: The SELECT does not fit the tables' columns.
        """
        ...

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask something of a staged result; the SQL was made by this package."""
        ...

    def publish(self, publication: Publication) -> Published:
        """Publish a staged result and its ledger entry in one transaction, or nothing.

        Raises:
            VersionConflict: Another run built the table meanwhile.
            ConfigError: The table belongs to a dataset, another pipeline or nobody.
            SchemaError: An incremental result does not fit its table.
            BusyError: Another process holds the destination.
        """
        ...


@runtime_checkable
class Transforming(Protocol):
    """A destination that says where its transformations run."""

    @property
    def tables(self) -> SqlTables:
        """Where they run."""
        ...
