"""What a user says of a table or a query of a database."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Self

from pydantic import Field, model_validator

from prefect_etl.core.dataset import Columns, DatasetSpec
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import SourceReadError

Value = bool | int | float | Decimal | datetime | date | str | None
CHUNK_ROWS = 1_000_000


class DatabaseDataset(DatasetSpec):
    """A table, a view or a query of a database.

    Without ``cursor`` all of it is read in each run. With ``cursor`` only rows from the highest
    value that was loaded, less the lag, are read. Rows whose cursor is null come with the first
    load only.

    Example:
        >>> DatabaseDataset(name="d", table="orders", cursor="changed", filter="id > 7").keyed
        False
    """

    table_: str | None = Field(
        None, alias="table", min_length=1, description="A table or view: name, or schema.name."
    )
    query: str | None = Field(None, min_length=1, description="One SELECT, in the source's SQL.")
    parameters: Mapping[str, Value] = Field(
        default_factory=dict, description="Values that the query names: $name."
    )
    filter: str | None = Field(
        None,
        min_length=1,
        description="A condition in the source's SQL; rows outside are not read at all.",
    )
    chunk_rows: int = Field(
        CHUNK_ROWS, ge=1, description="About how many rows of a large first read are one unit."
    )

    @model_validator(mode="after")
    def _fields_fit(self) -> Self:
        if (self.table_ is None) == (self.query is None):
            raise ValueError("give either table or query")
        if self.parameters and self.query is None:
            raise ValueError("parameters are the values of a query; give filter: the values itself")
        if self.cursor is not None and self.write == "replace":
            raise ValueError(
                "write: replace reads everything in each run; leave cursor out, or use merge"
            )
        return self

    @property
    def incremental(self) -> bool:
        """Whether a run reads only what is new."""
        return self.cursor is not None

    @property
    def reconciles(self) -> bool:
        """Whether a run that reads only what is new asks for all keys, too, and deletes others."""
        return self.incremental and self.missing == "delete"

    def of_key(self, columns: Iterable[str]) -> Self:
        """The same rows, as a whole, with the columns of their key alone.

        Args:
            columns: What the table or query has.

        Example:
            >>> columns = {"rename": {"no": "id"}}
            >>> dataset = DatabaseDataset(name="d", table="t", key="id", columns=columns)
            >>> dataset.of_key(["no", "name"]).wanted_columns(["no", "name"])
            ['no']
        """
        wanted = {name.lower() for name in self.key}
        names = [name for name in columns if self.table_name_of(name).lower() in wanted]
        return self.model_copy(
            update={"columns": Columns(select=names), "cursor": None, "where": None}
        )

    @property
    def read(self) -> tuple[object, ...]:
        """All that decides which rows and columns are read, and as what."""
        columns = self.columns.model_dump_json()
        what = (self.table_, self.query, dict(self.parameters), self.filter, self.cursor_column)
        return (*what, columns, sorted(self.types.items()), self.where is None)

    @property
    def described(self) -> str:
        """What is read, in a word or two."""
        return self.table_ or "query"

    def cursor_in(self, columns: Iterable[str]) -> str:
        """The source's own name of the cursor's column.

        Args:
            columns: What the table or query has.

        Raises:
            SourceReadError: The cursor is not among them.
        """
        wanted, names = self.cursor_column or "", list(columns)
        for same in (str, str.lower):
            for name in names:
                if same(self.table_name_of(name)) == same(wanted):
                    return name
        known = [self.table_name_of(name) for name in names]
        raise SourceReadError(
            f"{self.name}: cursor: {self.described} has no column {wanted}"
            f"{did_you_mean(wanted, known)}",
            hint="Check cursor: in the pipeline file; it speaks of names after rename.",
        )

    @property
    def drops_at_source(self) -> bool:
        """Whether columns that are dropped are not even read: unless ``where`` may ask for them."""
        return self.where is None

    def wanted_columns(self, columns: Iterable[str]) -> list[str]:
        """The columns that have to be read, in the source's order.

        Those that ``columns:`` leaves out are not read, unless ``where`` may ask for them.

        Raises:
            SourceReadError: ``columns:`` names one that is not there.

        Example:
            >>> dataset = DatabaseDataset(name="d", table="t", columns={"drop": "secret"})
            >>> dataset.wanted_columns(["a", "Secret"])
            ['a']
        """
        names = list(columns)
        self._assert_there(names)
        if self.where is not None:
            return names
        dropped = {name.lower() for name in self.columns.drop}
        asked = {name.lower() for name in (*self.columns.select, *self.columns.rename)}
        return [
            name
            for name in names
            if name.lower() not in dropped and (not self.columns.select or name.lower() in asked)
        ]

    def _assert_there(self, names: list[str]) -> None:
        there = {name.lower() for name in names}
        for name in (*self.columns.select, *self.columns.drop, *self.columns.rename):
            if name.lower() not in there:
                raise SourceReadError(
                    f"{self.name}: columns: {self.described} has no column {name}"
                    f"{did_you_mean(name, names)}",
                    hint="Correct columns: in the pipeline file.",
                )
