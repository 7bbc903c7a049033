"""What a user says of rows and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from prefect_etl.core.cursor import duration
from prefect_etl.core.types import TypeName

OnViolation = Literal["quarantine", "fail", "warn"]


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    return value


Share = Annotated[
    float, BeforeValidator(_share, json_schema_input_type=float | str), Field(ge=0, le=1)
]

# A row rule called so is a table rule in the wrong place: rows: {ge: 1}.
_NOT_ROWS = frozenset(("ge", "le"))
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda v: (v,) if isinstance(v, str) else v),
]


class ColumnRules(BaseModel):
    """What the values of one column must be; a rule that is not given is not checked.

    Bounds are numbers, texts, dates, or ``today`` and ``now``, as in ``now - 2 days``, in UTC.

    Nulls break ``nullable: false`` only; every other rule passes them, as SQL's CHECK does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: TypeName | None = Field(
        None, description="The type of the column; a value that does not convert breaks the rule."
    )
    nullable: bool = Field(True, description="Whether nulls are allowed.")
    unique: bool = Field(False, description="No value twice within the load; the first one stays.")
    isin: tuple[Any, ...] | None = Field(None, description="The allowed values.")
    ge: Any = Field(None, description="At least this.")
    gt: Any = Field(None, description="More than this.")
    le: Any = Field(None, description="At most this.")
    lt: Any = Field(None, description="Less than this.")
    min_length: int | None = Field(None, ge=0, description="At least so many characters.")
    max_length: int | None = Field(None, ge=0, description="At most so many characters.")
    pattern: str | None = Field(None, description="A regular expression (RE2) for the whole value.")
    severity: OnViolation | None = Field(
        None, description="What becomes of rows that break a rule of it; on_violation if not given."
    )


class RowRule(BaseModel):
    """A condition on the columns of one row, in SQL; a row for which it is null keeps it.

    Example:
        >>> RowRule.model_validate("arrival >= departure").check
        'arrival >= departure'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str = Field(min_length=1, description="A SQL condition that every row must satisfy.")
    reason: str | None = Field(None, description="What is wrong with a row, in words.")
    severity: OnViolation | None = Field(
        None, description="What becomes of rows that break it; on_violation if not given."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"check": value} if isinstance(value, str) else value


class Total(BaseModel):
    """A column of another table that a sum must equal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    equals: str = Field(pattern=r".+\..+", description="table.column, whose sum it must be.")
    within: float = Field(0, ge=0, description="How far the sums may differ.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"equals": value} if isinstance(value, str) else value


class RowCount(BaseModel):
    """How many rows the table must have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ge: int | None = Field(None, ge=0, description="At least so many.")
    le: int | None = Field(None, ge=0, description="At most so many.")


def _age(value: str) -> str:
    duration(value)
    return value


Age = Annotated[str, AfterValidator(_age)]
TableSeverity = Literal["fail", "warn"]


class TableRules(BaseModel):
    """What the whole table must be after a load; where it is not, nothing is published.

    Example:
        >>> TableRules(unique=["id", ["day", "shop"]]).unique
        (('id',), ('day', 'shop'))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: RowCount | None = Field(None, description="How many rows: {ge: 1, le: 1000000}.")
    fresh: Mapping[str, Age] = Field(
        default_factory=dict,
        description="Time column: how old its newest value may be, as in 2 days.",
    )
    unique: tuple[Names, ...] = Field(
        (), description="Columns that no two rows share; a list of columns for several together."
    )
    references: Mapping[str, str] = Field(
        default_factory=dict,
        description="Column: table.column of the destination in which each value must be.",
    )
    nulls: Mapping[str, Share] = Field(
        default_factory=dict, description="Column: the share of nulls that it may have: 5%."
    )
    sums: Mapping[str, Total] = Field(
        default_factory=dict,
        description="Column: table.column of the destination whose sum must be the same; or "
        "{equals: table.column, within: 0.01}.",
    )
    severity: TableSeverity = Field("fail", description="fail publishes nothing; warn tells.")

    @model_validator(mode="after")
    def _references_name_columns(self) -> TableRules:
        for column, target in self.references.items():
            if "." not in target.strip("."):
                raise ValueError(f"references: {column}: say table.column, not {target}")
        return self


class Contract(BaseModel):
    """What the rows of a dataset must be, and what happens to those that are not.

    Example:
        >>> contract = Contract(columns={"distance": {"ge": 0}}, max_rejected="1%")
        >>> contract.max_rejected
        0.01
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Mapping[str, ColumnRules] = Field(
        default_factory=dict, description="Column: the rules for its values."
    )
    rows: Mapping[str, RowRule] = Field(
        default_factory=dict,
        description="Name: a SQL condition on the columns of a row; or {check, reason, severity}.",
    )
    table: TableRules | None = Field(
        None, description="What the whole table must be after the load."
    )
    pandera: str | None = Field(
        None, description="module:name of a pandera model whose rules hold as well."
    )
    on_violation: OnViolation = Field(
        "quarantine",
        description="quarantine puts bad rows aside; fail refuses the load; warn counts.",
    )
    max_rejected: Share | None = Field(
        None, description="The load fails above this share of quarantined rows: 0.01 or 1%."
    )

    @model_validator(mode="after")
    def _threshold_needs_quarantine(self) -> Contract:
        if self.max_rejected is not None and self.on_violation != "quarantine":
            raise ValueError("max_rejected works with on_violation: quarantine only")
        if clash := sorted({name.casefold() for name in self.rows} & _NOT_ROWS):
            raise ValueError(f"rows: a rule cannot be called {', '.join(clash)}")
        return self
