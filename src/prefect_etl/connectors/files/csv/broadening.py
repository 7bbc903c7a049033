"""Finds types that hold every value, after the sniffer's, which saw the first rows, did not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prefect_etl.connectors.files.csv.scan import as_text, csv_source, guessed_integers, integers
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.connectors.files.settling import NUMBER
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.types import NO_COUNT
from prefect_etl.core.unit import Unit

if TYPE_CHECKING:
    import duckdb

# More digits than a double holds exactly.
LONG_INTEGER = r"^[+-]?\d{16,}$"
# What a double would not give back: 1e5 without a point or a sign is a name as well.
EXPONENT = r"^\d+[eE]\d+$"
_NO_NUMBER = rf"{LONG_INTEGER}|^[+-]?0\d|^\+|{EXPONENT}"


@dataclass(frozen=True, slots=True)
class Misfits:
    """Columns with values that are not of their type: how many; and how many rows there are."""

    columns: Mapping[str, int]
    rows: int


def misfits(place: Place, reading: Reading, units: Sequence[Unit]) -> Misfits | None:
    """Columns whose type does not hold every value; None where there are other faults."""
    import duckdb

    with place.session.cursor() as cursor:
        try:
            return _misfits(cursor, reading, place.scanned(units))
        except duckdb.InvalidInputException:  # a fault that the list of rejects cannot hold
            return None


def _misfits(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> Misfits | None:
    source = csv_source(
        reading,
        files,
        store_rejects=True,
        rejects_limit=0,
        rejects_table="_etl_rejects",
        rejects_scan="_etl_reject_scans",
    )
    try:
        # All of the result is fetched: before that, the list of rejects is not there.
        ((rows, *_),) = cursor.execute(
            f"SELECT count(*), count(COLUMNS(*)) FROM {source}"
        ).fetchall()
        rejects = cursor.execute(
            "SELECT column_name, error_type::VARCHAR, count(*) FROM _etl_rejects GROUP BY ALL"
        ).fetchall()
    finally:
        cursor.execute("DROP TABLE IF EXISTS _etl_rejects")
        cursor.execute("DROP TABLE IF EXISTS _etl_reject_scans")
    if any(kind != "CAST" for _, kind, _ in rejects):
        return None
    if rejects and _has_header_again(cursor, reading, files):
        return None
    failing = {name: count for name, _, count in rejects}
    whole = rows + sum(failing.values())
    strict = guessed_integers(reading)
    for name, count in _not_whole(cursor, reading, strict, files).items():
        failing[name] = failing.get(name, 0) + count
    return Misfits(failing, whole)


def _has_header_again(
    cursor: duckdb.DuckDBPyConnection, reading: Reading, files: Sequence[str]
) -> bool:
    """Whether a record names the columns once more."""
    names = reading.columns.names
    if len(names) < 2 or not reading.options.get("header"):
        return False
    source = csv_source(as_text(reading, names), files)
    same = " AND ".join(f"trim({identifier(name)}) = {literal(name)}" for name in names)
    return bool(cursor.execute(f"SELECT 1 FROM {source} WHERE {same} LIMIT 1").fetchone())


def _not_whole(
    cursor: duckdb.DuckDBPyConnection,
    reading: Reading,
    strict: Sequence[str],
    files: Sequence[str],
) -> dict[str, int]:
    """Columns of whole numbers that have others too, which the reader takes without a word.

    It rounds ``1.5``; and ``007`` and ``+49`` are no numbers in the ``strict`` ones.
    """
    names = integers(reading)
    if not names:
        return {}
    source = csv_source(as_text(reading, names), files)
    patterns = {name: f"[.eE]|{NO_COUNT}" if name in strict else "[.eE]" for name in names}
    tests = ", ".join(
        f"count_if(regexp_matches({identifier(name)}, {literal(pattern)}))"
        for name, pattern in patterns.items()
    )
    found = cursor.execute(f"SELECT {tests} FROM {source}").fetchone() or ()
    return {name: count for name, count in zip(names, found, strict=True) if count}


def broader(place: Place, reading: Reading, units: Sequence[Unit], name: str) -> str:
    """A type that holds every value of a column, of files that the fast reader reads."""
    source = csv_source(as_text(reading, reading.columns.names), place.scanned(units))
    column = identifier(name)

    def hold(candidate: str) -> bool:
        return all_hold(place, source, column, f"TRY_CAST({column} AS {candidate})", candidate)

    return broadened(dict(reading.columns.pairs())[name], hold)


def broadened(kind: str, hold: Callable[[str], bool]) -> str:
    """The next type that holds what a type does not; text, in the end."""
    candidate = "DOUBLE" if NUMBER.fullmatch(kind) else "TIMESTAMP" if kind == "DATE" else None
    if candidate in (None, kind):  # what failed once is not tried again
        return "VARCHAR"
    return candidate if hold(candidate) else "VARCHAR"


def all_hold(place: Place, source: str, text: str, value: str, candidate: str) -> bool:
    """Whether every text of a column is a value of a type, and the same when it is written again.

    Args:
        place: What reads them.
        source: SQL: the rows.
        text: SQL: the text of the column; null where it is null.
        value: SQL: its value; null where it has none.
        candidate: The type.
    """
    exact = ""
    if candidate == "DOUBLE":
        exact = f" AND NOT regexp_matches({text}, {literal(_NO_NUMBER)})"
    ((found,),) = place.session.query(
        f"SELECT bool_and({value} IS NOT NULL{exact}) FROM {source} WHERE {text} IS NOT NULL"
    )
    return bool(found)
