"""Finds types that hold every value, after the sniffer's, which saw the first rows, did not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect_etl.connectors.files.csv.scan import as_text, csv_source, integers
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.connectors.files.settling import NUMBER
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Unit

if TYPE_CHECKING:
    import duckdb

# More digits than a double holds exactly.
LONG_INTEGER = r"^[+-]?\d{16,}$"


def broaden(place: Place, reading: Reading, units: Sequence[Unit]) -> dict[str, str]:
    """Types that hold every value of columns whose type does not; empty where none can help."""
    files = place.scanned(units)
    with place.session.cursor() as cursor:
        failing = _failing_columns(cursor, reading, files)
        if not failing or any(name in place.dataset.types for name in failing):
            return {}
        source = csv_source(as_text(reading, failing), files)
        types = {column.name: column.type for column in reading.columns}
        return {name: _broader(cursor, source, name, types[name]) for name in failing}


def _failing_columns(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> list[str]:
    source = csv_source(
        reading,
        files,
        store_rejects=True,
        rejects_limit=0,
        rejects_table="_etl_rejects",
        rejects_scan="_etl_reject_scans",
    )
    try:
        cursor.execute(f"SELECT count(COLUMNS(*)) FROM {source}").fetchall()
        rejects = cursor.execute(
            "SELECT DISTINCT column_name, error_type::VARCHAR FROM _etl_rejects"
        ).fetchall()
    finally:
        cursor.execute("DROP TABLE IF EXISTS _etl_rejects")
        cursor.execute("DROP TABLE IF EXISTS _etl_reject_scans")
    if any(kind != "CAST" for _, kind in rejects):
        return []
    return list(
        dict.fromkeys([*(name for name, _ in rejects), *_fractional(cursor, reading, files)])
    )


def _fractional(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> list[str]:
    """Columns of whole numbers that have others too; the reader rounds them without a word."""
    names = integers(reading)
    if not names:
        return []
    source = csv_source(as_text(reading, names), files)
    tests = ", ".join(f"bool_or(regexp_matches({identifier(name)}, '[.eE]'))" for name in names)
    found = cursor.execute(f"SELECT {tests} FROM {source}").fetchone() or ()
    return [name for name, fractional in zip(names, found, strict=True) if fractional]


def _broader(cursor: duckdb.DuckDBPyConnection, source: str, name: str, kind: str) -> str:
    column = identifier(name)
    candidate = "DOUBLE" if NUMBER.fullmatch(kind) else "TIMESTAMP" if kind == "DATE" else None
    if candidate is None:
        return "VARCHAR"
    exact = (
        f"NOT regexp_matches({column}, {literal(LONG_INTEGER)})" if candidate == "DOUBLE" else "1"
    )
    row = cursor.execute(
        f"SELECT bool_and(TRY_CAST({column} AS {candidate}) IS NOT NULL AND {exact}) "
        f"FROM {source} WHERE {column} IS NOT NULL"
    ).fetchone()
    return candidate if row and row[0] else "VARCHAR"
