"""The rows of a load that are put aside: those that break rules, and what could not be read.

Each has the source's columns as they were, null where it could not be read; ``_rules`` and
``_reasons``; and where it came from: ``_source`` (the unit's position), ``_row`` (its place among
the unit's rows, from 1), ``_line`` (its first line in the file, from 1, where it is known) and
``_text`` (what stands there, of what could not be read).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.aside import REJECT_COLUMNS
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.sql import literal
from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.check import Checked
from prefect_etl.pipeline.prepare import Prepared


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a unit are: ``first_row`` less at the source than in the raw file."""

    unit_id: int
    position: str
    first_row: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What the source of a load could not read as rows.

    Attributes:
        counts: Records by unit id.
        files: Files of rejects in the raw zone, each with the ids of its batch's units.
    """

    counts: Mapping[int, int]
    files: tuple[tuple[Path, tuple[int, ...]], ...]

    @property
    def sql(self) -> str:
        """All of them: the unit's id and the other columns of a file of rejects."""
        columns = ", ".join(f"r.{name}" for name in REJECT_COLUMNS if name != "unit")
        parts = (
            f"SELECT ([{', '.join(map(str, unit_ids))}])[r.unit + 1] AS {UNIT_ID}, {columns} "
            f"FROM read_parquet({literal(path)}) r"
            for path, unit_ids in self.files
        )
        return " UNION ALL ".join(parts)


def with_unreadable(
    session: Session, checked: Checked, unreadable: Unreadable, spec: DatasetSpec
) -> Checked:
    """The outcome of a check, and what could not be read counted as read and put aside."""
    if not unreadable.files:
        return checked
    counts = dict(checked.counts)
    for unit_id, records in unreadable.counts.items():
        counts[unit_id] += Accounting(read=records, quarantined=records)
    fail = spec.contract is not None and spec.contract.on_violation == "fail"
    found = session.query(
        "SELECT rule, any_value(reason), count(*) "
        f"FROM ({unreadable.sql}) GROUP BY 1 ORDER BY 3 DESC, 1"
    )
    fate = "fail" if fail else "quarantine"
    rules = (RuleCount(rule, reason, rows, fate) for rule, reason, rows in found)
    return replace(checked, counts=counts, rules=(*checked.rules, *rules))


def aside_rows(
    prepared: Prepared, checked: Checked, unreadable: Unreadable, origins: Sequence[Origin]
) -> str:
    """SQL: all rows that are put aside, in the order of the source."""
    aside = [o for o in origins if checked.counts[o.unit_id].quarantined]
    named = ", ".join(f"({o.unit_id}, {literal(o.position)}, {o.first_row})" for o in aside)
    broken = (
        f"({checked.bad})"
        if checked.bad
        else f"(SELECT {UNIT_ID}, {ROW_NUMBER}, [''] AS rules, [''] AS reasons "
        f"FROM ({prepared.source}) WHERE FALSE)"
    )
    parts = [
        (
            f"SELECT r.* EXCLUDE ({UNIT_ID}, {ROW_NUMBER}), b.rules AS _rules, "
            f"b.reasons AS _reasons, b.{UNIT_ID} AS _unit, b.{ROW_NUMBER} AS _at, "
            "CAST(NULL AS BIGINT) AS _line, CAST(NULL AS VARCHAR) AS _text "
            f"FROM {broken} b JOIN ({prepared.source}) r USING ({UNIT_ID}, {ROW_NUMBER})"
        )
    ]
    if unreadable.files:
        parts.append(
            f"SELECT [rule] AS _rules, [reason] AS _reasons, {UNIT_ID} AS _unit, "
            f"line AS _line, text AS _text FROM ({unreadable.sql})"
        )
    return (
        "SELECT p.* EXCLUDE (_unit, _at, _line, _text), o.position AS _source, "
        "p._at - o.first_row AS _row, p._line, p._text "
        f"FROM ({' UNION ALL BY NAME '.join(parts)}) p "
        f"JOIN (VALUES {named}) o(unit_id, position, first_row) ON o.unit_id = p._unit "
        "ORDER BY p._unit, p._at NULLS LAST, p._line"
    )
