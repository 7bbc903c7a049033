"""Finds dialect and types of new CSV files, once for all files of a run.

DuckDB's sniffer looks at the first rows of a few files of each header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect_etl.connectors.files.csv.broadening import LONG_INTEGER
from prefect_etl.connectors.files.csv.dialect import sniff
from prefect_etl.connectors.files.csv.scan import as_text, csv_source
from prefect_etl.connectors.files.listing import first_line
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading, retyped
from prefect_etl.core.schema import TableSchema, widen
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import duckdb

# So many files of one header are looked at, spread over all of them.
_SAMPLED_FILES = 8
_WHOLE = r"\s*[+-]?\d+\s*"
_SAMPLED_ROWS = 20_480


def detect(place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
    """Group files by their header, and find how each group is read.

    Raises:
        SourceReadError: The files are empty, or do not look like CSV.
    """
    with place.session.cursor() as cursor:
        return _agree(_grouped(cursor, place, units))


def _grouped(
    cursor: duckdb.DuckDBPyConnection, place: Place, units: Sequence[Unit]
) -> list[tuple[Reading, list[Unit]]]:
    dataset = place.dataset
    by_header: dict[bytes, list[Unit]] = {}
    empty: list[Unit] = []
    for unit in units:
        line = first_line(place.path(unit), unit.position, dataset.skip or 0)
        header = b"" if dataset.header is False else line
        (by_header.setdefault(header, []) if line else empty).append(unit)
    if not by_header:
        raise SourceReadError(
            f"{units[0].position} is empty: there is no line to take columns from",
            hint="Give it a header line, or remove it.",
        )
    # An empty file has no rows; it is recorded with the files of the first header.
    by_header[next(iter(by_header))].extend(empty)
    groups = []
    for members in by_header.values():
        sampled = [u for u in _spread(members) if u not in empty]
        readings = [sniff(cursor, place, unit) for unit in sampled]
        columns = _unify(
            [
                _with_long_integers(cursor, place, reading, unit)
                for reading, unit in zip(readings, sampled, strict=True)
            ]
        )
        groups.append((readings[0].with_columns(columns), members))
    return groups


def _with_long_integers(
    cursor: duckdb.DuckDBPyConnection, place: Place, reading: Reading, unit: Unit
) -> TableSchema:
    """Columns of integers that are too long for BIGINT; the sniffer would make them DOUBLE."""
    doubles = [column.name for column in reading.columns if column.type == "DOUBLE"]
    if not doubles:
        return reading.columns
    source = csv_source(as_text(reading, doubles), place.scanned([unit]))
    tests = ", ".join(
        f"bool_or(regexp_matches({name}, {literal(LONG_INTEGER)})), "
        f"bool_and(regexp_full_match({name}, {literal(_WHOLE)}))"
        for name in map(identifier, doubles)
    )
    names = ", ".join(map(identifier, doubles))
    found = (
        cursor.execute(
            f"SELECT {tests} FROM (SELECT {names} FROM {source} LIMIT {_SAMPLED_ROWS})"
        ).fetchone()
        or ()
    )
    types = {
        name: "HUGEINT" if whole else "VARCHAR"
        for name, long, whole in zip(doubles, found[::2], found[1::2], strict=True)
        if long
    }
    return retyped(reading.columns, types)


def _spread(units: Sequence[Unit]) -> list[Unit]:
    # The largest has most rows to tell types by; it also settles what the dialect is.
    largest = max(units, key=lambda unit: unit.size or 0)
    step = max(1, len(units) // _SAMPLED_FILES)
    return [largest, *[u for u in units[::step][:_SAMPLED_FILES] if u is not largest]]


def _agree(groups: list[tuple[Reading, list[Unit]]]) -> list[tuple[Reading, list[Unit]]]:
    types = {c.name: c.type for c in _unify([reading.columns for reading, _ in groups])}
    return [
        (reading.with_columns(retyped(reading.columns, types)), units) for reading, units in groups
    ]


def _unify(schemas: Sequence[TableSchema]) -> TableSchema:
    types: dict[str, str] = {}
    for schema in schemas:
        for column in schema:
            types[column.name] = _common(types.get(column.name), column.type)
    return TableSchema.from_pairs(types.items())


def _common(seen: str | None, kind: str) -> str:
    if seen is None or seen == kind:
        return kind
    # The sniffer calls a column of nothing but nulls VARCHAR. If it was text after all, the
    # narrower type fails on its first value and is broadened.
    if "VARCHAR" in (seen, kind):
        return kind if seen == "VARCHAR" else seen
    if {seen, kind} == {"HUGEINT", "DOUBLE"}:
        return "VARCHAR"  # neither holds the other's values
    return widen(seen, kind) or "VARCHAR"
