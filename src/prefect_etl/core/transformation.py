"""What a user says of a transformation and of the checks that guard its publication."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from prefect_etl.core.dataset import Names

Kind = Literal["table", "view", "incremental"]
_REFERENCE = r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*"


def _function(value: Any) -> Any:
    if (
        value is None
        or callable(value)
        or (isinstance(value, str) and re.fullmatch(_REFERENCE, value))
    ):
        return value
    raise ValueError("must be module:function, such as models:daily_delays")


# In Python a function itself can be given; in a file only its name.
Function = Annotated[
    Any,
    PlainValidator(_function),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": _REFERENCE}, {"type": "null"}]}),
]


class RowCount(BaseModel):
    """How many rows a table must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: int = Field(0, ge=0, description="At least so many.")
    max: int | None = Field(None, ge=0, description="At most so many.")


class Checks(BaseModel):
    """What must be true of a transformation's result before it is published.

    Example:
        >>> Checks(not_null="carrier", row_count={"min": 1}).not_null
        ('carrier',)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    not_null: Names = Field((), description="Columns without nulls.")
    unique: Names = Field((), description="Columns that together identify a row.")
    row_count: RowCount | None = Field(None, description="The least and the most rows.")
    expression: Names = Field(
        (), description="SQL conditions that must be true of every row; null is not true."
    )


class TransformationSpec(BaseModel):
    """A table or view that is made from other tables, by SQL or by a Python function.

    It reads whole tables by their names: those of datasets and of other transformations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1, description="The transformation's name.")
    sql: str | None = Field(None, description="A path that ends in .sql, or one SELECT as text.")
    python: Function = Field(
        None, description="module:function; its parameters name the tables that it reads."
    )
    parameters: Mapping[str, Any] = Field(
        default_factory=dict, description="Values for $name in SQL, or for further parameters."
    )
    kind: Kind = Field(
        "table", description="table is replaced; incremental is merged by key; view reads on use."
    )
    key: Names = Field((), description="The columns that identify a row; incremental needs them.")
    into: str | None = Field(
        None, description="The table's name; the transformation's if not given."
    )
    schema_: str | None = Field(None, alias="schema", description="The table's schema.")
    checks: Checks = Field(default_factory=Checks)

    @property
    def table(self) -> str:
        """The table's name."""
        return self.into or self.name

    @model_validator(mode="after")
    def _kind_fits(self) -> TransformationSpec:
        if (self.sql is None) == (self.python is None):
            raise ValueError("give either sql or python")
        if self.kind == "view" and self.python is not None:
            raise ValueError("kind: view needs sql; a Python function makes a table")
        if (self.kind == "incremental") != bool(self.key):
            raise ValueError("kind: incremental and key go together")
        return self
