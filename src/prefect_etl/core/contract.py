"""Contracts: what rows must be, as values and as SQL predicates.

A contract compiles to one predicate a rule. All rules are evaluated in one scan by the engine; a
rule never looks at rows one by one in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from prefect_etl.core.sql import identifier, literal, literals
from prefect_etl.core.types import TypeName

OnViolation = Literal["quarantine", "fail", "warn"]


def _share(value: Any) -> Any:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip()[:-1]) / 100
    return value


Share = Annotated[
    float, BeforeValidator(_share, json_schema_input_type=float | str), Field(ge=0, le=1)
]


class ColumnRules(BaseModel):
    """What the values of one column must be; a rule that is not given is not checked.

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
        return self


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule.

    Attributes:
        name: ``column.rule``, as shown in reports and kept in quarantine.
        reason: In words, for people.
        violated: A SQL expression that is true for a row that breaks the rule, never null.
        over_load: It compares rows of the load, among those that break no other rule.
    """

    name: str
    reason: str
    violated: str
    over_load: bool = False


def compile_rules(contract: Contract) -> tuple[Rule, ...]:
    """Compile a contract to predicates over the columns that it names.

    ``unique`` keeps the first row of a value. It refers to columns that the checked rows carry:
    ``_etl_unit_id`` and ``_etl_row``, the row's place, and ``_etl_bad``, whether it breaks another
    rule. ``type`` is compiled where the value is converted.

    Example:
        >>> rule, = compile_rules(Contract(columns={"distance": {"ge": 0}}))
        >>> rule.name, rule.violated
        ('distance.ge', 'coalesce(NOT ("distance" >= 0), FALSE)')
    """
    return tuple(
        rule for name, rules in contract.columns.items() for rule in _column_rules(name, rules)
    )


def _column_rules(name: str, rules: ColumnRules) -> list[Rule]:
    column = identifier(name)
    length = f"length({column})"
    compiled: list[Rule] = []

    def must(rule: str, condition: str, reason: str) -> None:
        violated = f"coalesce(NOT ({condition}), FALSE)"
        compiled.append(Rule(f"{name}.{rule}", f"{name} {reason}", violated))

    if not rules.nullable:
        compiled.append(Rule(f"{name}.nullable", f"{name} is null", f"{column} IS NULL"))
    if rules.isin is not None:
        allowed = ", ".join(str(value) for value in rules.isin)
        must("isin", f"{column} IN ({literals(rules.isin)})", f"is not one of {allowed}")
    for rule, operator, words in (
        ("ge", ">=", "less than"),
        ("gt", ">", "not more than"),
        ("le", "<=", "more than"),
        ("lt", "<", "not less than"),
    ):
        bound = getattr(rules, rule)
        if bound is not None:
            must(rule, f"{column} {operator} {literal(bound)}", f"is {words} {bound}")
    if rules.min_length is not None:
        short = f"is shorter than {rules.min_length} characters"
        must("min_length", f"{length} >= {rules.min_length}", short)
    if rules.max_length is not None:
        long = f"is longer than {rules.max_length} characters"
        must("max_length", f"{length} <= {rules.max_length}", long)
    if rules.pattern is not None:
        must(
            "pattern",
            f"regexp_full_match({column}, {literal(rules.pattern)})",
            f"does not match {rules.pattern}",
        )
    if rules.unique:
        place = f"PARTITION BY {column}, _etl_bad ORDER BY _etl_unit_id, _etl_row"
        again = f"({column} IS NOT NULL AND NOT _etl_bad AND row_number() OVER ({place}) > 1)"
        compiled.append(Rule(f"{name}.unique", f"{name} is there already", again, over_load=True))
    return compiled
