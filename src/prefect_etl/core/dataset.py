"""What a user says of a dataset: the fields that all connectors share.

A connector subclasses :class:`DatasetSpec` with the fields of its own (a path, a query); the
pipeline file is validated against that subclass, so an unknown key is refused by the connector
that would have to understand it.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from prefect_etl.core.contract import Contract
from prefect_etl.core.cursor import CursorField
from prefect_etl.core.naming import snake_case
from prefect_etl.core.schema import EvolutionPolicy
from prefect_etl.core.types import TypeName

WriteMode = Literal["append", "replace", "merge", "scd2"]
Missing = Literal["keep", "delete"]
Naming = Literal["keep", "snake_case"]


_MISSING: Mapping[WriteMode, Missing] = {"merge": "keep", "scd2": "delete"}


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...])
]


class Columns(BaseModel):
    """Which columns of the source become which columns of the table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    select: Names = Field((), description="Only these columns of the source, in this order.")
    drop: Names = Field((), description="All columns but these.")
    rename: Mapping[str, str] = Field(default_factory=dict, description="Old name: new name.")
    cast: Mapping[str, TypeName] = Field(
        default_factory=dict,
        description="New name: type. A value that does not fit fails the load.",
    )

    @model_validator(mode="after")
    def _select_or_drop(self) -> Columns:
        if self.select and self.drop:
            raise ValueError("give select or drop, not both")
        return self


class DatasetSpec(BaseModel):
    """One stream from a source that becomes one table.

    ``types`` and ``where`` speak of the source's columns; ``key``, ``cursor``, ``deleted_when`` and
    ``contract`` of the table's, that is after ``columns``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1, description="The dataset's name.")
    into: str | None = Field(None, description="The table's name; the dataset's if not given.")
    schema_: str | None = Field(None, alias="schema", description="The table's schema.")
    write: WriteMode = Field(
        "append",
        description="append adds rows; merge upserts by key; replace swaps the whole table; scd2 "
        "keeps all versions of a key, each with the time for which it held.",
    )
    key: Names = Field((), description="The columns that identify a row; merge and scd2 need them.")
    cursor: CursorField | None = Field(
        None, description="The column that grows: of two versions of a key the higher one wins."
    )
    deleted_when: str | None = Field(
        None,
        description="A SQL condition; a row for which it is true deletes its key (merge, scd2).",
    )
    missing: Missing | None = Field(
        None,
        description="What becomes of keys that the source does not have any more (merge, scd2): "
        "keep them, or delete them; scd2 closes their version. With a cursor, delete reads the "
        "keys of all rows in each run. Default: keep for merge; for scd2 delete, with a cursor "
        "keep.",
    )
    track: Names = Field(
        (),
        description="scd2: the columns whose change makes a new version; if not given, all but "
        "the key and the cursor.",
    )
    naming: Naming = Field(
        "keep", description="The names of columns: as in the source, or in snake_case."
    )
    before: Names = Field((), description="SQL that runs in the load's transaction, at its start.")
    after: Names = Field((), description="SQL that runs in the load's transaction, at its end.")
    adopt: bool = Field(
        False, description="Load into a table that exists already and no pipeline made."
    )
    partition_by: Names = Field(
        (), description="Columns whose values make folders (destination parquet only)."
    )
    types: Mapping[str, TypeName] = Field(
        default_factory=dict, description="Source column: type, instead of the detected one."
    )
    columns: Columns = Field(default_factory=Columns)
    where: str | None = Field(None, description="A SQL condition; other rows are left out.")
    contract: Contract | None = Field(None, description="What rows must be.")
    quarantine_into: str | None = Field(
        None,
        min_length=1,
        description="A table of the destination for the rows that are put aside, beside the files.",
    )
    evolution: EvolutionPolicy = Field(
        "evolve", description="evolve adds columns and widens numbers; freeze refuses both."
    )
    unit_column: bool = Field(
        True,
        description="Whether append tables carry _etl_unit_id, so a changed file can be replaced.",
    )

    @property
    def table(self) -> str:
        """The table's name."""
        return self.into or self.name

    def table_name_of(self, column: str) -> str:
        """What the table calls a column of the source.

        Example:
            >>> DatasetSpec(name="d", columns={"rename": {"made": "created"}}).table_name_of("made")
            'created'
            >>> DatasetSpec(name="d", naming="snake_case").table_name_of("Order No")
            'order_no'
        """
        named = snake_case(column) if self.naming == "snake_case" else column
        renames = {old.lower(): new for old, new in self.columns.rename.items()}
        return renames.get(column.lower(), named)

    @property
    def carries_unit(self) -> bool:
        """Whether rows carry the number of the unit that wrote them."""
        return self.write == "append" and self.unit_column

    @property
    def drops_at_source(self) -> bool:
        """Whether columns that are dropped are not even read, so that raw rows lack them."""
        return False

    @property
    def keyed(self) -> bool:
        """Whether rows are found in the table by their key."""
        return self.write in ("merge", "scd2")

    @property
    def cursor_column(self) -> str | None:
        """The cursor's name in the table; None where there is none."""
        return self.cursor.column if self.cursor else None

    @property
    def deletes_missing(self) -> bool:
        """Whether keys that a whole source does not have any more are deleted, or closed."""
        return self.keyed and (self.missing or _MISSING[self.write]) == "delete"

    @property
    def fingerprint(self) -> str:
        """Changes when anything changes that decides what the table looks like."""
        text = self.model_dump_json(exclude={"name", "quarantine_into"}, fallback=repr)
        return sha256(text.encode()).hexdigest()[:32]

    @model_validator(mode="after")
    def _modes_and_keys_fit(self) -> DatasetSpec:
        if self.keyed and not self.key:
            raise ValueError(f"write: {self.write} needs key: the columns that identify a row")
        if self.deleted_when is not None and not self.keyed:
            raise ValueError("deleted_when works with write: merge and scd2 only")
        if self.missing is not None and not self.keyed:
            raise ValueError("missing works with write: merge and scd2 only")
        if self.track and self.write != "scd2":
            raise ValueError("track works with write: scd2 only")
        return self
