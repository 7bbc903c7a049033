"""Checks of a result before it is published; each counts bad rows, and shows some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from prefect_etl.connectors.transforming import Staged
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.report import CheckReport
from prefect_etl.core.sql import identifier
from prefect_etl.core.transformation import Checks, RowCount, TransformationSpec
from prefect_etl.errors import ConfigError

Query = Callable[[str], list[tuple[Any, ...]]]

_EXAMPLES = 3
_SHOWN_COLUMNS = 6
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class RowCheck:
    """A condition that every row must meet.

    Attributes:
        label: What it is called in reports.
        bad: SQL that is true of a bad row.
        columns: Shown of a bad row; the first few if empty.
    """

    label: str
    bad: str
    columns: tuple[str, ...] = ()


def has_checks(checks: Checks) -> bool:
    """Whether there is anything to check."""
    return any((checks.not_null, checks.unique, checks.row_count, checks.expression))


def run_checks(spec: TransformationSpec, staged: Staged, query: Query) -> tuple[CheckReport, ...]:
    """Run all checks of a transformation over its staged result.

    The key of an incremental transformation must be there and be unique, whether it says so or not.

    Args:
        spec: The transformation.
        staged: Its result.
        query: Asks something of the result.

    Raises:
        ConfigError: A check names a column that the result does not have.
    """
    checks = spec.checks
    _assert_columns(staged, (*checks.not_null, *checks.unique, *spec.key))
    not_null = dict.fromkeys((*spec.key, *checks.not_null))
    row_checks = [RowCheck(f"not_null: {n}", f"{identifier(n)} IS NULL") for n in not_null]
    row_checks += [
        RowCheck(f"expression: {text}", f"(\n{text}\n) IS NOT TRUE") for text in checks.expression
    ]
    reports = _check_rows(staged, row_checks, query)
    for key in dict.fromkeys((spec.key, checks.unique)):
        if key:
            reports.append(_check_unique(staged, key, query))
    if checks.row_count is not None:
        reports.append(_check_count(staged.rows or 0, checks.row_count))
    return tuple(reports)


def _assert_columns(staged: Staged, wanted: Sequence[str]) -> None:
    for name in wanted:
        if staged.columns.find(name) is None:
            known = staged.columns.names
            raise ConfigError(
                f"the result has no column {name}{did_you_mean(name, known)}",
                hint=f"Its columns: {', '.join(known)}. Correct key: or checks:.",
            )


def _check_rows(staged: Staged, checks: Sequence[RowCheck], query: Query) -> list[CheckReport]:
    """All of them in one scan; a second one for each that fails."""
    if not checks:
        return []
    counts = ", ".join(f"count(*) FILTER (WHERE {check.bad})" for check in checks)
    found = query(f"SELECT {counts} FROM {staged.relation}")[0]
    return [
        _row_report(staged, check, bad, query) for check, bad in zip(checks, found, strict=True)
    ]


def _row_report(staged: Staged, check: RowCheck, bad: int, query: Query) -> CheckReport:
    if not bad:
        return CheckReport(check.label, passed=True)
    columns = staged.columns.names[:_SHOWN_COLUMNS]
    names = ", ".join(identifier(name) for name in columns)
    rows = query(f"SELECT {names} FROM {staged.relation} WHERE {check.bad} LIMIT {_EXAMPLES}")
    return CheckReport(check.label, passed=False, detail=_detail(bad, staged.rows, columns, rows))


def _check_unique(staged: Staged, key: tuple[str, ...], query: Query) -> CheckReport:
    """Rows with a null in the key are not compared, as SQL has it."""
    names = ", ".join(identifier(name) for name in key)
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in key)
    groups = (
        f"SELECT {names}, count(*) AS _etl_rows FROM {staged.relation} WHERE {present} "
        f"GROUP BY {names} HAVING count(*) > 1"
    )
    label = f"unique: {', '.join(key)}"
    bad = query(f"SELECT coalesce(sum(_etl_rows), 0) FROM ({groups}) AS doubled")[0][0]
    if not bad:
        return CheckReport(label, passed=True)
    rows = query(f"{groups} LIMIT {_EXAMPLES}")
    return CheckReport(
        label, passed=False, detail=_detail(int(bad), staged.rows, (*key, "rows"), rows)
    )


def _check_count(rows: int, wanted: RowCount) -> CheckReport:
    parts = [f"at least {wanted.min}"] if wanted.min else []
    parts += [f"at most {wanted.max}"] if wanted.max is not None else []
    passed = rows >= wanted.min and (wanted.max is None or rows <= wanted.max)
    label = f"row_count: {' and '.join(parts) or 'any'}"
    return CheckReport(label, passed=passed, detail="" if passed else f"{rows:,} rows")


def _detail(
    bad: int, total: int | None, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> str:
    examples = "; ".join(
        ", ".join(f"{name}={_shown(v)}" for name, v in zip(columns, row, strict=True))
        for row in rows
    )
    return f"{bad:,} of {total or 0:,} rows; for example {examples}"


def _shown(value: Any) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
