"""How to read files that could not be read as was guessed: with other types, or with care.

Types that were guessed of a column that is new become broader: nothing is lost so. A type that the
user gave, or that the table has, holds: values that do not fit it are put aside with their records,
unless they are most of them. Whatever else keeps the fast reader from reading a file is left to the
careful one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prefect_etl.connectors.files.csv.broadening import (
    Misfits,
    all_hold,
    broadened,
    broader,
    misfits,
)
from prefect_etl.connectors.files.csv.careful.conversion import conversion
from prefect_etl.connectors.files.csv.careful.reading import CAREFUL, Opened, opened
from prefect_etl.connectors.files.csv.encoding import unsure_encoding
from prefect_etl.connectors.files.csv.joins import needs_care
from prefect_etl.connectors.files.csv.late_encoding import late_encoding
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.scan import HELD, NOTES, held
from prefect_etl.connectors.files.form import Better
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.connectors.files.settling import converted_later
from prefect_etl.core.schema import widen
from prefect_etl.core.unit import Unit


def better(place: Place, reading: Reading, units: Sequence[Unit]) -> Better:
    """Other types, or the careful reader; false where nothing can help."""
    if CAREFUL in reading.options:
        return _better_with_care(place, reading, units)
    found = misfits(place, reading, units)
    layout = layout_of(reading)
    if found is None and (better := _otherwise_encoded(place, reading, layout, units)):
        return better
    careful = {CAREFUL: layout.as_dict()}
    if found is None or not found.columns or needs_care(place, reading, units):
        return Better(options=careful)
    types, firm = _decided(place, found, lambda name: broader(place, reading, units, name))
    return Better(types, careful | {HELD: sorted(firm)} if firm else {})


def _otherwise_encoded(
    place: Place, reading: Reading, layout: Layout, units: Sequence[Unit]
) -> Better:
    """In the encoding that files turn out to have where nobody had looked."""
    encoding = late_encoding(place, units) if layout.encoding == "utf-8" else None
    if encoding is None:
        return Better()
    notes = [*reading.options.get(NOTES, ()), unsure_encoding(encoding)]
    return Better(options={CAREFUL: replace(layout, encoding=encoding).as_dict(), NOTES: notes})


def _better_with_care(place: Place, reading: Reading, units: Sequence[Unit]) -> Better:
    with opened(place, reading, units) as found:
        fixed = held(place.dataset, reading.options)
        loose = {name: n for name, n in found.failures.items() if name not in fixed}
        if not loose:
            layout = Layout.from_dict(reading.options[CAREFUL])
            return _otherwise_encoded(place, reading, layout, units)
        whole = sum(found.spooled.read.values())
        types, firm = _decided(
            place, Misfits(loose, whole), lambda name: _broader(place, reading, found, name)
        )
    options: dict[str, Any] = {HELD: sorted({*reading.options.get(HELD, ()), *firm})}
    return Better(types, options if firm else {})


def _decided(
    place: Place, found: Misfits, broader_of: Callable[[str], str]
) -> tuple[Mapping[str, str], set[str]]:
    """New types of columns, and those whose type holds."""
    types: dict[str, str] = {}
    firm: set[str] = set()
    for name, count in found.columns.items():
        if name in place.dataset.types:
            firm.add(name)
            continue
        wider = broader_of(name)
        if _is_the_tables(place, name, wider) and 2 * count <= found.rows:
            firm.add(name)
        else:
            types[name] = wider
    return types, firm


def _is_the_tables(place: Place, name: str, wider: str) -> bool:
    """Whether the table has a column of a type that does not become a wider one."""
    there = place.dataset.table_name_of(name)
    present = place.table.find(there) if place.table is not None else None
    if present is None or there in converted_later(place.dataset):
        return False
    return wider == "VARCHAR" or widen(present.type, wider) is None


def _broader(place: Place, reading: Reading, found: Opened, name: str) -> str:
    """The type that holds every value of a column, of files that were read with care."""
    layout = Layout.from_dict(reading.options[CAREFUL])
    kinds = dict(reading.columns.pairs())
    at = list(kinds).index(name)

    def hold(candidate: str) -> bool:
        column = conversion(at, name, candidate, layout)
        return all_hold(place, found.source, column.text, column.value, candidate)

    return broadened(kinds[name], hold)


def layout_of(reading: Reading) -> Layout:
    """The layout that options of the fast reader say.

    Example:
        >>> from prefect_etl.core.schema import TableSchema
        >>> options = {"delim": ";", "quote": "", "escape": "", "skip": 2, "header": True}
        >>> columns = TableSchema.from_pairs([("a", "BIGINT"), ("b", "DATE")])
        >>> layout = layout_of(Reading("csv", columns, options | {"dateformat": "%d.%m.%Y"}))
        >>> layout.delimiter, layout.first, layout.header, layout.dates
        (';', 3, 1, {'b': ('%d.%m.%Y',)})
    """
    options = reading.options
    formats = {"DATE": options.get("dateformat"), "TIMESTAMP": options.get("timestampformat")}
    dates = {name: (form,) for name, kind in reading.columns.pairs() if (form := formats.get(kind))}
    return Layout(
        names=tuple(reading.columns.names),
        encoding=options.get("encoding", "utf-8"),
        delimiter=options.get("delim", ","),
        quote=options.get("quote", '"'),
        escape=options.get("escape", '"'),
        comment=options.get("comment", ""),
        first=options.get("skip", 0) + 1,
        header=int(options.get("header", True)),
        decimal=options.get("decimal_separator", "."),
        thousands=options.get("thousands", ""),
        dates=dates or None,
    )
