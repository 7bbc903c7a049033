"""Rules on rows as SQL predicates."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from prefect_etl.core.contract.bounds import Moment, bound_sql
from prefect_etl.core.contract.values import ColumnRules, Contract, OnViolation, RowRule
from prefect_etl.core.sql import identifier, literal


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule.

    Attributes:
        name: ``column.rule``, as shown in reports and kept in quarantine.
        reason: In words, for people.
        violated: A SQL expression that is true for a row that breaks the rule, never null.
        over_load: It compares rows of the load, among those that break no other rule.
        severity: What becomes of the row.
    """

    name: str
    reason: str
    violated: str
    over_load: bool = False
    severity: OnViolation = "quarantine"


def compile_rules(contract: Contract, moment: Moment | None = None) -> tuple[Rule, ...]:
    """Compile a contract to predicates over the columns that it names.

    Args:
        contract: The contract.
        moment: What ``now`` is in its bounds; the present if None.

    ``unique`` keeps the first row of a value. It refers to columns that the checked rows carry:
    ``_etl_unit_id`` and ``_etl_row``, the row's place, and ``_etl_bad``, whether it breaks another
    rule. ``type`` is compiled where the value is converted.

    Example:
        >>> rule, = compile_rules(Contract(columns={"distance": {"ge": 0}}))
        >>> rule.name, rule.violated
        ('distance.ge', 'coalesce(NOT ("distance" >= 0), FALSE)')
    """
    now = moment or datetime.now(UTC)
    default = contract.on_violation
    columns = (
        replace(rule, severity=rules.severity or default)
        for name, rules in contract.columns.items()
        for rule in _column_rules(name, rules, now)
    )
    rows = (_row_rule(name, rule, default) for name, rule in contract.rows.items())
    return (*columns, *rows)


def _row_rule(name: str, rule: RowRule, default: OnViolation) -> Rule:
    # On lines of its own: a comment at its end hides nothing.
    violated = f"coalesce(NOT (\n{rule.check}\n), FALSE)"
    reason = rule.reason or f"not {' '.join(rule.check.split())}"
    return Rule(f"rows.{name}", reason, violated, severity=rule.severity or default)


def _column_rules(name: str, rules: ColumnRules, now: Moment) -> list[Rule]:
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
        values = ", ".join(bound_sql(value, now) for value in rules.isin)
        must("isin", f"{column} IN ({values})", f"is not one of {allowed}")
    for rule, operator, words in (
        ("ge", ">=", "less than"),
        ("gt", ">", "not more than"),
        ("le", "<=", "more than"),
        ("lt", "<", "not less than"),
    ):
        bound = getattr(rules, rule)
        if bound is not None:
            must(rule, f"{column} {operator} {bound_sql(bound, now)}", f"is {words} {bound}")
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
