"""Rules on the whole table: questions that a destination answers within a load's transaction.

The SQL is plain enough for every dialect: counts, sums, maxima and joins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from prefect_etl.core.contract.bounds import Moment
from prefect_etl.core.contract.values import TableRules, TableSeverity, Total
from prefect_etl.core.cursor import duration
from prefect_etl.core.sql import identifier

# The name of another table, as the destination spells it.
Named = Callable[[str], str]
Judge = Callable[[Sequence[Any]], str | None]


@dataclass(frozen=True, slots=True)
class TableCheck:
    """One question to a table.

    Attributes:
        name: ``table.unique(id)``, as shown in reports.
        sql: Makes a SELECT of one row from the table's name and a way to name others.
        judge: What is wrong with the answer, in words; None where nothing is.
        severity: What becomes of the load.
    """

    name: str
    sql: Callable[[str, Named], str]
    judge: Judge
    severity: TableSeverity


def table_checks(rules: TableRules | None, moment: Moment) -> tuple[TableCheck, ...]:
    """The questions that rules ask.

    Args:
        rules: The rules; None where there are none.
        moment: What ``now`` is for freshness.

    Example:
        >>> rules = TableRules(rows={"ge": 1}, unique=["id"])
        >>> [check.name for check in table_checks(rules, datetime.now(UTC))]
        ['table.rows', 'table.unique(id)']
        >>> table_checks(rules, datetime.now(UTC))[0].judge([0])
        'the table has 0 rows, fewer than 1'
    """
    if rules is None:
        return ()
    found = []
    if rules.rows is not None:
        found.append(_rows(rules))
    found += [_unique(columns, rules.severity) for columns in rules.unique]
    found += [_nulls(c, share, rules.severity) for c, share in rules.nulls.items()]
    found += [_fresh(c, age, moment, rules.severity) for c, age in rules.fresh.items()]
    found += [_reference(c, to, rules.severity) for c, to in rules.references.items()]
    found += [_sum(c, total, rules.severity) for c, total in rules.sums.items()]
    return tuple(found)


def columns_of(rules: TableRules) -> set[str]:
    """The columns that rules name."""
    columns = {*rules.fresh, *rules.references, *rules.nulls, *rules.sums}
    return columns | {name for names in rules.unique for name in names}


def _rows(rules: TableRules) -> TableCheck:
    limits = rules.rows

    def judge(answer: Sequence[Any]) -> str | None:
        count = int(answer[0])
        if limits is not None and limits.ge is not None and count < limits.ge:
            return f"the table has {count} rows, fewer than {limits.ge}"
        if limits is not None and limits.le is not None and count > limits.le:
            return f"the table has {count} rows, more than {limits.le}"
        return None

    return TableCheck(
        "table.rows", lambda table, _: f"SELECT count(*) FROM {table} t", judge, rules.severity
    )


def _unique(columns: Sequence[str], severity: TableSeverity) -> TableCheck:
    names = ", ".join(map(identifier, columns))
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    shown = ", ".join(columns)

    def sql(table: str, _: Named) -> str:
        twice = f"SELECT count(*) AS n FROM {table} t WHERE {present} GROUP BY {names}"
        return f"SELECT coalesce(sum(d.n - 1), 0) FROM ({twice} HAVING count(*) > 1) d"

    def judge(answer: Sequence[Any]) -> str | None:
        again = int(answer[0])
        return f"{again} rows have {shown} of another row" if again else None

    return TableCheck(f"table.unique({shown})", sql, judge, severity)


def _nulls(column: str, most: float, severity: TableSeverity) -> TableCheck:
    name = identifier(column)

    def judge(answer: Sequence[Any]) -> str | None:
        whole, present = int(answer[0]), int(answer[1])
        share = (whole - present) / whole if whole else 0.0
        if share <= most:
            return None
        return f"{column} is null in {share:.2%} of the rows, more than {most:.2%}"

    return TableCheck(
        f"table.nulls({column})",
        lambda table, _: f"SELECT count(*), count({name}) FROM {table} t",
        judge,
        severity,
    )


def _fresh(column: str, age: str, moment: Moment, severity: TableSeverity) -> TableCheck:
    oldest = moment.astimezone(UTC).replace(tzinfo=None) - duration(age)

    def judge(answer: Sequence[Any]) -> str | None:
        newest = _as_time(answer[0])
        if newest is not None and newest >= oldest:
            return None
        said = "there is none" if newest is None else f"the newest is {newest}"
        return f"{column} has no value of the last {age}: {said}"

    name = identifier(column)
    return TableCheck(
        f"table.fresh({column})",
        lambda table, _: f"SELECT max({name}) FROM {table} t",
        judge,
        severity,
    )


def _as_time(value: Any) -> datetime | None:
    """A time in UTC; the end of a day where it is a date."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day) + timedelta(days=1)  # noqa: DTZ001 - UTC, without its name
    return None


def _reference(column: str, target: str, severity: TableSeverity) -> TableCheck:
    other, _, theirs = target.rpartition(".")
    mine = identifier(column)

    def sql(table: str, named: Named) -> str:
        there = f"SELECT DISTINCT o.{identifier(theirs)} AS found FROM {named(other)} o"
        return (
            f"SELECT count(*) FROM {table} t LEFT JOIN ({there}) k ON k.found = t.{mine} "
            f"WHERE t.{mine} IS NOT NULL AND k.found IS NULL"
        )

    def judge(answer: Sequence[Any]) -> str | None:
        lost = int(answer[0])
        return f"{lost} rows have {column} that is not in {target}" if lost else None

    return TableCheck(f"table.references({column} in {target})", sql, judge, severity)


def _sum(column: str, total: Total, severity: TableSeverity) -> TableCheck:
    other, _, theirs = total.equals.rpartition(".")

    def sql(table: str, named: Named) -> str:
        mine = f"(SELECT sum({identifier(column)}) FROM {table} t)"
        return f"SELECT {mine}, (SELECT sum({identifier(theirs)}) FROM {named(other)} o)"

    def judge(answer: Sequence[Any]) -> str | None:
        mine, wanted = (Decimal(str(value or 0)) for value in answer)
        if abs(mine - wanted) <= Decimal(str(total.within)):
            return None
        return f"the sum of {column} is {mine}, and that of {total.equals} is {wanted}"

    return TableCheck(f"table.sums({column} as {total.equals})", sql, judge, severity)
