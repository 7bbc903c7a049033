"""What a destination holds, read in one snapshot: its tables, who made them, and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prefect_etl.core.schema import TableSchema

TableKind = Literal["table", "view"]


@dataclass(frozen=True, slots=True, eq=False)
class TableRef:
    """A table's schema and name, compared as databases do: without regard to case.

    Example:
        >>> TableRef("main", "Flights") == TableRef("MAIN", "flights")
        True
        >>> str(TableRef("raw", "flights"))
        'raw.flights'
    """

    schema: str
    name: str

    @property
    def key(self) -> tuple[str, str]:
        """What two spellings of one table have in common."""
        return self.schema.casefold(), self.name.casefold()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TableRef) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class TableVersion:
    """The version of a table's rows.

    Attributes:
        number: Counts its loads or builds.
        history: Names the history that the number counts: after a reset it is another one.
    """

    number: int
    history: str


@dataclass(frozen=True, slots=True)
class Read:
    """A table that was read, and its version then.

    Attributes:
        table: The table.
        version: None for a table that no pipeline makes: nobody can tell when it changes.
        argument: The parameter of a Python function that named it; None in SQL.
    """

    table: TableRef
    version: TableVersion | None
    argument: str | None = None


@dataclass(frozen=True, slots=True)
class TransformationState:
    """What the ledger knows of a transformation's table.

    Attributes:
        pipeline: The owner of the table.
        name: The transformation's name.
        table: Its table.
        kind: ``table``, ``view`` or ``incremental``.
        fingerprint: What decides the result, each part by its name: ``sql``, ``parameters``, …
        reads: What it read.
        version: Of the table that it made.
        columns: Of that table.
        rows: Of that table; None for a view.
    """

    pipeline: str
    name: str
    table: TableRef
    kind: str
    fingerprint: Mapping[str, str]
    reads: tuple[Read, ...]
    version: TableVersion
    columns: TableSchema
    rows: int | None


@dataclass(frozen=True, slots=True)
class DatasetTable:
    """A table that a dataset loads."""

    pipeline: str
    dataset: str
    version: TableVersion


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a destination holds.

    Attributes:
        tables: Every table and view, whoever made it; the ledger's own are left out.
        datasets: Tables that datasets load.
        transformations: Tables that transformations make, of all pipelines.
    """

    tables: Mapping[TableRef, TableKind] = field(default_factory=dict)
    datasets: Mapping[TableRef, DatasetTable] = field(default_factory=dict)
    transformations: Mapping[TableRef, TransformationState] = field(default_factory=dict)

    def version(self, table: TableRef) -> TableVersion | None:
        """The version of a table's rows; None where no pipeline makes it."""
        if table in self.datasets:
            return self.datasets[table].version
        if table in self.transformations:
            return self.transformations[table].version
        return None

    def owner(self, table: TableRef) -> str | None:
        """Who makes a table, in words; None where no pipeline does.

        Example:
            >>> flights = TableRef("main", "flights")
            >>> made = DatasetTable("nyc", "flights", TableVersion(1, "a"))
            >>> Snapshot(datasets={flights: made}).owner(flights)
            'dataset flights of pipeline nyc'
        """
        if table in self.datasets:
            found = self.datasets[table]
            return f"dataset {found.dataset} of pipeline {found.pipeline}"
        if table in self.transformations:
            state = self.transformations[table]
            return f"transformation {state.name} of pipeline {state.pipeline}"
        return None

    def obstacle(self, table: TableRef, pipeline: str) -> str | None:
        """Why transformations of a pipeline must not make a table; None where they may.

        Example:
            >>> orders = TableRef("main", "orders")
            >>> Snapshot(tables={orders: "table"}).obstacle(orders, "shop")
            'table main.orders exists already and was not made by a pipeline'
        """
        state = self.transformations.get(table)
        if table in self.datasets or (state is not None and state.pipeline != pipeline):
            return f"table {table} belongs to {self.owner(table)}"
        if state is None and table in self.tables:
            return f"table {table} exists already and was not made by a pipeline"
        return None
