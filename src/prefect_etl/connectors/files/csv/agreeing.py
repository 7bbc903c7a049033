"""Holds what the engine found of a file against its first lines."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.csv.footing import names_delivery, names_years
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.opinion import DELIMITERS, SINGLE, best_dialect
from prefect_etl.connectors.files.csv.sample import Sample
from prefect_etl.connectors.files.reading import Reading

_USUAL = ",;\t|"


def is_sound(reading: Reading, text: str, dataset: FilesDataset) -> bool:
    """Whether all first lines have the fields that the engine thinks they have."""
    options, width = reading.options, len(reading.columns)
    skip, sign = options["skip"], options["delim"]
    if skip != (dataset.skip or 0) or len(sign) != 1:
        return False
    if "\r" in text.replace("\r\n", ""):
        return False
    lines = text.split("\n")[skip:]
    header = lines[0] if lines else ""
    cells = [line.strip("\r").split(sign) for line in lines[:6]]
    if dataset.header is None and not options["header"] and names_years(cells):
        return False
    if skip == 0 and names_delivery(cells[0], (lines[-1] or lines[-2:][0]).split(sign)):
        return False
    if dataset.delimiter is None and (width == 1 or sign not in _USUAL):
        looked_at = text if width == 1 else header
        if any(other in looked_at for other in DELIMITERS):
            return False
    if dataset.delimiter is None and sign * 2 in header:
        return _is_best(reading, text)
    single = dataset.quote is None and (options["quote"] == "'" or SINGLE.search(text))
    if options["quote"] not in text and not single:
        return all(line.count(sign) == width - 1 for line in lines if line.strip("\r"))
    if options["escape"] != options["quote"] or single:
        return _is_best(reading, text)
    return _is_alike(lines, reading)


def _is_alike(lines: Sequence[str], reading: Reading) -> bool:
    options, width = reading.options, len(reading.columns)
    rows = csv.reader(
        (f"{line}\n" for line in lines),
        delimiter=options["delim"],
        quotechar=options["quote"] or None,
        quoting=csv.QUOTE_MINIMAL if options["quote"] else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        return all(len(row) == width for row in rows if row)
    except csv.Error as error:
        # The last record may be cut off within quotes.
        return "unexpected end" in str(error)


def _is_best(reading: Reading, text: str) -> bool:
    """Whether another opinion is the same."""
    layout, _ = best_dialect(text, Layout(first=reading.options["skip"] + 1), set())
    mine = Sample.of(text, layout)
    same = (layout.delimiter, layout.quote) == (reading.options["delim"], reading.options["quote"])
    return same and mine.width == len(reading.columns) and mine.share == 1.0
