"""What was found out about a CSV file, for people: facts, notes, and pins that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from prefect_etl.connectors.files.csv.careful.reading import CAREFUL
from prefect_etl.connectors.files.csv.encoding import Guess
from prefect_etl.connectors.files.csv.finding import decoded, encoding_in, head_of, sampled
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.opinion import best_dialect
from prefect_etl.connectors.files.csv.refining import layout_of
from prefect_etl.connectors.files.csv.scan import NOTES
from prefect_etl.connectors.files.csv.types import detect
from prefect_etl.connectors.files.form import Explained
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.aside import Aside, Repair
from prefect_etl.core.inspection import Fact
from prefect_etl.core.rows import Relation
from prefect_etl.core.unit import Unit

_SHOWN = {"\t": "tab", "": "none", " ": "space"}


def explain(place: Place, unit: Unit) -> Explained:
    """How a file is written, and how sure that is; what was guessed, its rows tell when read.

    Raises:
        SourceReadError: It cannot be told.
    """
    ((reading, _),) = detect(place, [unit])
    careful = reading.options.get(CAREFUL)
    layout = layout_of(reading) if careful is None else Layout.from_dict(careful)
    head = head_of(place, unit)
    encoding = encoding_in(place.dataset, head, unit.position)
    text = sampled(decoded(head, encoding.name))
    best, confidence = best_dialect(text, replace(layout, last=None), set())
    same = (best.delimiter, best.quote) == (layout.delimiter, layout.quote)
    facts = _facts(layout, encoding, confidence if same else 1 - confidence)
    return Explained(tuple(facts), pins=pins_of(layout))


def _facts(layout: Layout, encoding: Guess, confidence: float) -> list[Fact]:
    facts = [
        Fact("encoding", encoding.name, encoding.confidence),
        Fact("delimiter", _SHOWN.get(layout.delimiter, layout.delimiter), confidence),
        Fact("quote", _SHOWN.get(layout.quote, layout.quote), confidence),
        Fact("header", f"{layout.header} lines" if layout.header != 1 else "1 line"),
        Fact("first line", str(layout.first)),
    ]
    if layout.last is not None:
        facts.append(Fact("last line", str(layout.last)))
    if layout.decimal != "." or layout.thousands:
        facts.append(Fact("decimal sign", layout.decimal))
        facts.append(Fact("thousands", _SHOWN.get(layout.thousands, layout.thousands)))
    facts += [Fact(f"dates of {n}", ", ".join(f)) for n, f in (layout.dates or {}).items()]
    return facts


def pins_of(layout: Layout) -> dict[str, Any]:
    """Keys of a dataset that say what a layout says.

    Example:
        >>> pins_of(Layout(delimiter=";", encoding="cp1252", first=4))
        {'encoding': 'cp1252', 'delimiter': ';', 'header': True, 'skip': 3}
    """
    pins: dict[str, Any] = {"encoding": layout.encoding, "delimiter": layout.delimiter}
    if layout.quote != '"':
        pins["quote"] = layout.quote
    if layout.escape != layout.quote:
        pins["escape"] = layout.escape
    pins["header"] = layout.header > 0
    if layout.header > 1:
        pins["header_lines"] = layout.header
    if layout.first > 1:
        pins["skip"] = layout.first - 1
    if layout.comment:
        pins["comment"] = layout.comment
    if layout.decimal != ".":
        pins["decimal"] = layout.decimal
    if layout.thousands:
        pins["thousands"] = layout.thousands
    if layout.dates:
        pins["dates"] = sorted({form for forms in layout.dates.values() for form in forms})
    return pins


def with_notes(rows: Relation, reading: Reading, units: Sequence[Unit]) -> Relation:
    """Rows, and what was guessed of their files among the repairs that a run tells."""
    notes = reading.options.get(NOTES, ())
    if not notes:
        return rows
    told = rows.aside or Aside
    guesses = [Repair("csv.guess", note, 1, units[0].position) for note in notes]

    def aside() -> Aside:
        found = told()
        return replace(found, repairs=(*guesses, *found.repairs))

    return replace(rows, aside=aside)
