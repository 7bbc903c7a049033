"""Finds the dialect of a CSV file with DuckDB's sniffer, and distrusts it where it loses lines.

Left to itself, the sniffer skips first lines that differ from the others and lines that begin with
a comment sign, without a word; and a file whose lines differ in their number of fields becomes one
column. Here lines are left out only where the user says so.
"""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.files.config import FilesDataset, Format
from prefect_etl.connectors.files.listing import first_line, open_plain
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import duckdb

_ABSENT = "(empty)"
_HEAD = 1 << 20
# What a date looks like unless said otherwise; saying it makes the reader slower by a twentieth.
_ISO_DATE = "%Y-%m-%d"
_DELIMITERS = b",;\t|"


def sniff(cursor: duckdb.DuckDBPyConnection, place: Place, unit: Unit) -> Reading:
    """Dialect and types of one file, with what the user pinned.

    Raises:
        SourceReadError: Its first lines do not look like the others.
    """
    dataset = place.dataset
    pinned = _pinned(dataset, place.kind(unit))
    reading = _sniff(cursor, place, unit, pinned)
    if dataset.skip is None and reading.options["skip"]:
        lines = reading.options["skip"]
        raise SourceReadError(
            f"{dataset.name}: {unit.position}: its first {lines} lines do not look like the others",
            hint=f"If they are no data, say skip: {lines}; if they are, mend the lines that differ "
            "in their number of fields, or say skip: 0 and delimiter:.",
        )
    if len(reading.columns) == 1 and "delim" not in pinned:
        line = first_line(place.path(unit), unit.position, dataset.skip or 0)
        if used := [sign for sign in _DELIMITERS if sign in line]:
            # With the likely delimiter the reader names the line that does not fit.
            likely = bytes([max(used, key=line.count)]).decode()
            return _sniff_with(cursor, place, unit, pinned | {"delim": likely})
    return reading


def _sniff_with(
    cursor: duckdb.DuckDBPyConnection, place: Place, unit: Unit, pinned: dict[str, Any]
) -> Reading:
    import duckdb

    try:
        return _sniff(cursor, place, unit, pinned)
    except duckdb.Error as error:
        with open_plain(place.path(unit)) as stream:
            head = stream.read(_HEAD).decode("utf-8", "replace")
        lines = csv.reader(head.splitlines(), delimiter=pinned["delim"])
        counts = [len(line) for line in lines if line][:-1]
        odd = next((n for n, count in enumerate(counts, 1) if count != counts[0]), None)
        where = f"line {odd} has {counts[odd - 1]} fields, line 1 has {counts[0]}" if odd else ""
        raise SourceReadError(
            f"{place.dataset.name}: {unit.position} cannot be read as CSV: {where or error}",
            hint="Mend the file, or say delimiter: and quote: if they are others.",
        ) from error


def _pinned(dataset: FilesDataset, kind: Format) -> dict[str, Any]:
    given = {
        "nullstr": list(dataset.nulls),
        "comment": "",
        "delim": dataset.delimiter or ("\t" if kind == "tsv" else None),
        "quote": dataset.quote,
        "escape": dataset.escape,
        "header": dataset.header,
        "skip": dataset.skip,
    }
    return {name: value for name, value in given.items() if value is not None}


def _sniff(
    cursor: duckdb.DuckDBPyConnection, place: Place, unit: Unit, pinned: dict[str, Any]
) -> Reading:
    arguments = "".join(f", {name} = {literal(value)}" for name, value in pinned.items())
    file = literal(place.scanned([unit])[0])
    found = cursor.execute(
        "SELECT Delimiter, Quote, Escape, SkipRows, HasHeader, Columns, DateFormat, "
        f"TimestampFormat FROM sniff_csv({file}{arguments})"
    ).fetchone()
    if found is None:
        raise SourceReadError(f"{unit.position} cannot be read as CSV")
    delim, quote, escape, skip, header, columns, date_format, timestamp_format = found
    # Where no quote was seen, there may be one later: the standard's (RFC 4180).
    quote = '"' if quote == _ABSENT else quote
    escape = quote if escape == _ABSENT else escape
    dialect = {"delim": delim, "quote": quote, "escape": escape, "skip": skip, "header": header}
    if date_format and date_format != _ISO_DATE:
        dialect["dateformat"] = date_format
    if timestamp_format:
        dialect["timestampformat"] = timestamp_format
    schema = TableSchema.from_pairs((c["name"], c["type"]) for c in columns)
    return Reading(place.kind(unit), schema, pinned | dialect)
