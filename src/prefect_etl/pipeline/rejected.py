"""The rows of a load that are put aside: those that break rules, and what could not be read.

Each has the source's columns as they were, null where it could not be read; ``_rules`` and
``_reasons``; and where it came from: ``_source`` (the unit's position), ``_row`` (its place among
the unit's rows, from 1), ``_line`` (its first line in the file, from 1, where it is known),
``_key`` (the dataset's key as JSON) and ``_text`` (what stands there, of what could not be read).
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
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import stored_type
from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.check import Checked

# What a file of quarantine has beside the source's columns.
ADDED = ("_rules", "_reasons", "_source", "_row", "_line", "_key", "_text", "_run_id")
_TAKEN = frozenset({*ADDED, "_unit", "_at"})


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


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column of the source: its name and type there, and its name in a file of quarantine."""

    stored: str
    name: str
    type: str


def source_columns(described: Sequence[tuple[str, str]]) -> tuple[SourceColumn, ...]:
    """The source's columns under names that quarantine does not need for itself.

    Example:
        >>> [c.stored for c in source_columns([("id", "BIGINT"), ("_Source", "VARCHAR")])]
        ['id', '_Source_']
    """
    taken = {name.lower() for name, _ in described} | _TAKEN
    columns = []
    for name, kind in described:
        stored = name
        while stored.lower() in _TAKEN or (stored != name and stored.lower() in taken):
            stored += "_"
        taken.add(stored.lower())
        columns.append(SourceColumn(stored, name, kind))
    return tuple(columns)


@dataclass(frozen=True, slots=True)
class AsideRows:
    """The parts of which the rows of a file of quarantine are made, as SQL.

    Attributes:
        source: The rows of the load as the source gave them.
        bad: The unit and place of those that broke rules, with ``rules`` and ``reasons``.
        places: Where each of them came from: ``_unit``, ``_at``, ``_source``, ``_row``, ``_line``.
        columns: The columns of the source.
        key: The key's columns, by their names in the table: the source's names of them.
        others: Rows that have no columns; empty where there are none.
    """

    source: str
    bad: str
    places: str
    columns: Sequence[SourceColumn]
    key: Mapping[str, str]
    others: str = ""

    @property
    def sql(self) -> str:
        """All rows that are put aside, in the order of the source."""
        kept = "".join(f"{_stored(column)}, " for column in self.columns)
        broken = (
            f"SELECT {kept}b.rules AS _rules, b.reasons AS _reasons, p._source, p._row, p._line, "
            f"{self._key} AS _key, CAST(NULL AS VARCHAR) AS _text, p._unit AS _unit, p._at AS _at "
            f"FROM ({self.bad}) b "
            f"JOIN ({self.source}) r USING ({UNIT_ID}, {ROW_NUMBER}) "
            f"JOIN ({self.places}) p ON p._unit = b.{UNIT_ID} AND p._at = b.{ROW_NUMBER}"
        )
        rows = f"{broken} UNION ALL BY NAME {self.others}" if self.others else broken
        return f"SELECT * EXCLUDE (_unit, _at) FROM ({rows}) ORDER BY _unit, _at NULLS LAST, _line"

    @property
    def _key(self) -> str:
        if not self.key:
            return "CAST(NULL AS VARCHAR)"
        pairs = (f"{literal(name)}, r.{identifier(of)}" for name, of in self.key.items())
        return f"CAST(json_object({', '.join(pairs)}) AS VARCHAR)"


def _stored(column: SourceColumn) -> str:
    name, kind = identifier(column.name), stored_type(column.type)
    value = f"r.{name}" if kind == column.type else f"CAST(r.{name} AS {kind})"
    return f"{value} AS {identifier(column.stored)}"


def places_of(bad: str, origins: Sequence[Origin], lines: Sequence[tuple[int, int, int]]) -> str:
    """SQL: where rows came from that were read from the source.

    Args:
        bad: SQL: their unit and place.
        origins: Of the units.
        lines: Unit, place and first line in the file, of those where it is known.
    """
    numbers, positions, firsts = zip(
        *((o.unit_id, o.position, o.first_row) for o in origins), strict=True
    )
    named = _table(("unit_id", "position", "first_row"), (numbers, positions, firsts))
    joined, line = "", "CAST(NULL AS BIGINT)"
    if lines:
        known = _table(("unit_id", "place", "line"), tuple(zip(*lines, strict=True)))
        joined = f"LEFT JOIN ({known}) l ON l.unit_id = b.{UNIT_ID} AND l.place = b.{ROW_NUMBER}"
        line = "CAST(l.line AS BIGINT)"
    return (
        f"SELECT b.{UNIT_ID} AS _unit, b.{ROW_NUMBER} AS _at, o.position AS _source, "
        f"b.{ROW_NUMBER} - o.first_row AS _row, {line} AS _line "
        f"FROM ({bad}) b JOIN ({named}) o ON o.unit_id = b.{UNIT_ID} {joined}"
    )


def unreadable_rows(unreadable: Unreadable, origins: Sequence[Origin]) -> str:
    """SQL: what could not be read, as rows of quarantine; empty where there is nothing."""
    if not unreadable.files:
        return ""
    of = [o for o in origins if o.unit_id in unreadable.counts]
    named = _table(("unit_id", "position"), ([o.unit_id for o in of], [o.position for o in of]))
    return (
        f"SELECT [u.rule] AS _rules, [u.reason] AS _reasons, o.position AS _source, "
        f"u.line AS _line, u.text AS _text, u.{UNIT_ID} AS _unit "
        f"FROM ({unreadable.sql}) u JOIN ({named}) o ON o.unit_id = u.{UNIT_ID}"
    )


def _table(names: Sequence[str], columns: Sequence[Sequence[object]]) -> str:
    lists = (f"unnest({literal(list(c))}) AS {n}" for n, c in zip(names, columns, strict=True))
    return f"SELECT {', '.join(lists)}"
