"""Finds the dialect of a CSV file with DuckDB's sniffer, and distrusts it where it loses lines.

Left to itself, the sniffer skips first lines that differ from the others and lines that begin with
a comment sign, without a word; and a file whose lines differ in their number of fields becomes one
column. What it finds is held against the first lines; where they tell another story, ours counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.files.config import FilesDataset, Format
from prefect_etl.connectors.files.csv.agreeing import is_sound
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL
from prefect_etl.connectors.files.csv.finding import (
    Found,
    decoded,
    encoding_in,
    find,
    head_of,
    named_delimiter,
    sampled,
)
from prefect_etl.connectors.files.csv.footing import (
    is_total,
    may_have_totals,
    total_note,
    units_note,
)
from prefect_etl.connectors.files.csv.header import odd_names, unique_names
from prefect_etl.connectors.files.csv.joins import is_joined
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.refining import layout_of
from prefect_etl.connectors.files.csv.refusing import assert_lines, unlike
from prefect_etl.connectors.files.csv.sample import Sample
from prefect_etl.connectors.files.csv.scan import NOTES
from prefect_etl.connectors.files.csv.values import may_be_typed, plain_type
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

if TYPE_CHECKING:
    import duckdb

_ABSENT = "(empty)"
# What a date looks like unless said otherwise; saying it makes the reader slower by a twentieth.
_ISO_DATE = "%Y-%m-%d"
_FEW = 60
# A blank line within a table, which may part it from another one.
_GAP = re.compile(r"\n\r?\n")


def sniff(cursor: duckdb.DuckDBPyConnection, place: Place, unit: Unit) -> Reading:
    """How one file is read: by the engine, where it is right about it; with care otherwise.

    Raises:
        SourceReadError: How it is written cannot be told.
    """
    dataset = place.dataset
    head = head_of(place, unit)
    encoding = encoding_in(dataset, head, f"{dataset.name}: {unit.position}").name
    beginning = decoded(head, encoding)
    if encoding != "utf-8" or _wants_care(dataset) or is_joined(beginning, dataset.skip or 0):
        return careful(place, unit, find(place, unit))
    text = sampled(beginning)
    assert_lines(dataset, text, f"{dataset.name}: {unit.position}")
    pinned = _pinned(dataset, place.kind(unit))
    if named_delimiter(dataset, text) is not None:
        return _found(cursor, place, unit, pinned, find(place, unit))
    reading = _tried(cursor, place, unit, pinned)
    if reading is not None and is_sound(reading, text, dataset) and not _GAP.search(text.strip()):
        named = _renamed(reading, text)
        found = _finer(place, unit, named, beginning)
        return careful(place, unit, found) if found else _noted(named, beginning, whole=head.whole)
    found = find(place, unit)
    _assert_all_lines(place, unit, reading, found, text)
    return _found(cursor, place, unit, pinned, found)


def _found(
    cursor: duckdb.DuckDBPyConnection,
    place: Place,
    unit: Unit,
    pinned: dict[str, Any],
    found: Found,
) -> Reading:
    return _plain(cursor, place, unit, pinned, found) or careful(place, unit, found)


def careful(place: Place, unit: Unit, found: Found) -> Reading:
    """A reading with care."""
    options: dict[str, Any] = {CAREFUL: found.layout.as_dict()}
    if found.notes:
        options[NOTES] = list(found.notes)
    return Reading(place.kind(unit), found.columns, options)


def _wants_care(dataset: FilesDataset) -> bool:
    """Whether the user says what the engine's reader cannot."""
    return bool(
        dataset.header_lines is not None
        or dataset.footer
        or dataset.comment
        or dataset.block
        or dataset.dates
        or dataset.thousands
        or dataset.decimal == ","
    )


def _tried(
    cursor: duckdb.DuckDBPyConnection, place: Place, unit: Unit, pinned: dict[str, Any]
) -> Reading | None:
    """What the engine finds; None where it finds nothing."""
    import duckdb

    try:
        return _sniff(cursor, place, unit, pinned)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error:
        return None


def _renamed(reading: Reading, text: str) -> Reading:
    """With names of our own, where the engine made some up."""
    options = reading.options
    if not options["header"]:
        return reading
    layout = Layout(
        delimiter=options["delim"],
        quote=options["quote"],
        escape=options["escape"],
        first=options["skip"] + 1,
    )
    whole = Sample.of(text, layout, 1).whole
    if not whole or len(whole[0].fields) != len(reading.columns):
        return reading
    if not (notes := odd_names(whole[0].fields)):
        return reading
    pairs = zip(unique_names(whole[0].fields), (c.type for c in reading.columns), strict=True)
    return Reading(reading.format, TableSchema.from_pairs(pairs), {**options, NOTES: notes})


def _finer(place: Place, unit: Unit, reading: Reading, text: str) -> Found | None:
    """What is found of columns that the engine took for text, and of dates of an unsure order."""
    types = [column.type for column in reading.columns]
    dated = bool({"dateformat", "timestampformat"} & set(reading.options))
    wanted = {"VARCHAR", "DATE", "TIMESTAMP"} if dated else {"VARCHAR"}
    places = [n for n, kind in enumerate(types) if kind in wanted]
    if not places:
        return None
    rows = [row for row in _rows(reading, text) if not is_total(row)]
    nulls = {"", *place.dataset.nulls}
    for n in places:
        column = reading.columns.names[n]
        if column in place.dataset.types:
            continue
        values = [row[n] for row in rows if len(row) == len(types) and row[n] not in nulls]
        untyped = plain_type(values) != "VARCHAR" and may_have_totals(text)
        if types[n] != "VARCHAR" or untyped or may_be_typed(values):
            found = find(place, unit)
            same = found.columns.names == reading.columns.names
            return found if same and found.columns != reading.columns else None
    return None


def _rows(reading: Reading, text: str, most: int = _FEW) -> list[Sequence[str]]:
    """The first rows of a text."""
    found = Sample.of(sampled(text), layout_of(reading), most).rows
    return [record.fields for record in found[int(reading.options["header"]) :]]


def _noted(reading: Reading, text: str, *, whole: bool) -> Reading:
    """With what a person should know of the first row and the last."""
    notes = units_note(_rows(reading, text)) if reading.options["header"] else []
    if whole:
        end = text.rstrip("\r\n")
        last = _rows(reading, end[end.rfind("\n", 0, max(end.rfind("\n"), 0)) + 1 :])
        notes += total_note([[], *last])
    if not notes:
        return reading
    notes = [*reading.options.get(NOTES, ()), *notes]
    return Reading(reading.format, reading.columns, {**reading.options, NOTES: notes})


def _assert_all_lines(
    place: Place, unit: Unit, reading: Reading | None, found: Found, text: str
) -> None:
    """Refuse a file whose first lines the engine leaves out, and nothing tells that they may be."""
    skip = reading.options["skip"] if reading else 0
    if place.dataset.skip is not None or not skip or found.layout.first > 1:
        return
    sample = Sample.of(text, found.layout)
    first = next((record for record in sample.records if not record.blank), None)
    if first is None or len(first.fields) != sample.width or sample.width == 1:
        fields = first.fields if first is not None and sample.width > 1 else ()
        raise unlike(f"{place.dataset.name}: {unit.position}", skip, fields)


def _plain(
    cursor: duckdb.DuckDBPyConnection,
    place: Place,
    unit: Unit,
    pinned: dict[str, Any],
    found: Found,
) -> Reading | None:
    """What the engine finds when it is told the layout; None where it cannot be, or errs."""
    layout = found.layout
    fixed = (layout.last, layout.decimal, layout.thousands, layout.dates, layout.comment)
    if (
        fixed != (None, ".", "", None, "")
        or layout.header > 1
        or len(layout.delimiter) > 1
        or layout.stray
    ):
        return None
    told = {
        "delim": layout.delimiter,
        "quote": layout.quote,
        "escape": layout.escape,
        "skip": layout.first - 1,
        "header": bool(layout.header),
    }
    reading = _tried(cursor, place, unit, pinned | told)
    if reading is None or len(reading.columns) != len(found.columns):
        return None
    if reading.options["skip"] != layout.first - 1 or "dateformat" in reading.options:
        return None
    kinds = zip(reading.columns, found.columns, strict=True)
    if any(theirs.type == "VARCHAR" != ours.type for theirs, ours in kinds):
        return None
    notes = {NOTES: list(found.notes)} if found.notes else {}
    pairs = zip(found.columns.names, (c.type for c in reading.columns), strict=True)
    return Reading(reading.format, TableSchema.from_pairs(pairs), {**reading.options, **notes})


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
    quote = pinned.get("quote", '"') if quote == _ABSENT else quote
    escape = pinned.get("escape", quote) if escape == _ABSENT else escape
    dialect = {"delim": delim, "quote": quote, "escape": escape, "skip": skip, "header": header}
    # Of two digits nobody knows whether they are the year or the day.
    short = [kind for kind, how in _formats(date_format, timestamp_format) if "%y" in how]
    if date_format and date_format != _ISO_DATE and "DATE" not in short:
        dialect["dateformat"] = date_format
    if timestamp_format and "TIMESTAMP" not in short:
        dialect["timestampformat"] = timestamp_format
    schema = TableSchema.from_pairs(
        (c["name"], "VARCHAR" if c["type"] in short else c["type"]) for c in columns
    )
    return Reading(place.kind(unit), schema, pinned | dialect)


def _formats(date_format: str | None, timestamp_format: str | None) -> tuple[tuple[str, str], ...]:
    return ("DATE", date_format or ""), ("TIMESTAMP", timestamp_format or "")
