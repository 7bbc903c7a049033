"""Finds dialect and types of new CSV files, once for all files of a run.

DuckDB's sniffer looks at the first rows of a few files of each header.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.csv.broadening import EXPONENT, LONG_INTEGER
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL
from prefect_etl.connectors.files.csv.dialect import sniff
from prefect_etl.connectors.files.csv.finding import (
    Head,
    decoded,
    encoding_in,
    head_of,
    named_delimiter,
)
from prefect_etl.connectors.files.csv.opinion import DELIMITERS
from prefect_etl.connectors.files.csv.scan import as_text, csv_source
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
_WHOLE_OR_EXPONENT = rf"^\d+$|{EXPONENT}"
_SAMPLED_ROWS = 20_480
_TITLES = 12


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
    by_header: dict[tuple[str, ...], list[Unit]] = {}
    empty: list[Unit] = []
    for unit in units:
        head = head_of(place, unit)
        where = f"{dataset.name}: {unit.position}"
        if _is_empty(head, dataset.skip or 0):
            empty.append(unit)
            continue
        key = _alike(dataset, head, encoding_in(dataset, head, where).name, unit)
        by_header.setdefault(key, []).append(unit)
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
        groups.append((_widest(readings).with_columns(columns), members))
    return groups


def _widest(readings: Sequence[Reading]) -> Reading:
    """The reading that can read all files of a group: with care, where one needs it."""
    return next((reading for reading in readings if CAREFUL in reading.options), readings[0])


def _is_empty(head: Head, skip: int) -> bool:
    if not head.whole:
        return False
    wide = head.data.startswith((b"\xff\xfe", b"\xfe\xff"))
    blank = b" \t\r\n\0" if wide else b" \t\r\n"
    data = head.data.lstrip(b"\xef\xbb\xbf\xff\xfe")
    rest = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n", skip)
    return len(rest) <= skip or not rest[skip].strip(blank)


def _alike(dataset: FilesDataset, head: Head, encoding: str, unit: Unit) -> tuple[str, ...]:
    """What files have in common that are read alike: encoding and header line."""
    if dataset.footer or dataset.block:
        return (encoding, unit.position)  # where their tables end is their own
    lines = decoded(head, encoding).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    named = named_delimiter(dataset, "\n".join(lines[:2])) is not None
    rest = lines[(dataset.skip or 0) + named :]
    first = next((n for n, line in enumerate(rest) if line.strip()), 0)
    header = rest[first] if rest else ""
    signs = any(sign in header for sign in DELIMITERS)
    if first or not signs:
        # A title, perhaps: where the table begins, more lines must tell.
        return (encoding, str(first), *rest[:_TITLES])
    return (encoding,) if dataset.header is False else (encoding, header)


def _with_long_integers(
    cursor: duckdb.DuckDBPyConnection, place: Place, reading: Reading, unit: Unit
) -> TableSchema:
    """Integers that are too long for BIGINT, and names like 12E4; the sniffer says DOUBLE."""
    doubles = [column.name for column in reading.columns if column.type == "DOUBLE"]
    if not doubles or CAREFUL in reading.options:  # these were told by their texts
        return reading.columns
    # What is no record is another question, which is asked when all are read.
    source = csv_source(as_text(reading, doubles), place.scanned([unit]), ignore_errors=True)
    tests = ", ".join(
        f"bool_or(regexp_matches({name}, {literal(LONG_INTEGER)})), "
        f"bool_and(regexp_matches({name}, {literal(_WHOLE_OR_EXPONENT)})) "
        f"AND bool_or(regexp_matches({name}, {literal(EXPONENT)})), "
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
        for name, long, named, whole in zip(
            doubles, found[::3], found[1::3], found[2::3], strict=True
        )
        if long or named
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
