"""A second opinion on the dialect: of all spellings, the one whose records are most alike.

After CleverCSV (van den Burg et al., 2019): records should have the same number of fields, and
fields should look like values of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.sample import Sample

DELIMITERS = (",", ";", "\t", "|", "^", "~", "||", "::", "\x1f", "\x01")
_LOOKED_AT = 24 << 10
_RECORDS = 150
_VALUE = re.compile(r"[+-]?[\d.,' :/\-]*\d[\d.,' :/\-TZ%€$]*|[^,;\t|^~\"\x01\x1f]+")
# A field that begins with it; between digits it is a sign of thousands.
SINGLE = re.compile(r"(?:^|[,;\t|^~:\x01\x1f]) *'", re.MULTILINE)
_WITHIN_QUOTES = re.compile(r"'.*'|\".*\"", re.DOTALL)

# A quote between what neither begins nor ends a field.
_STRAY = re.compile(r"""[^,;\t|^~:\x01\x1f\s"]"[^,;\t|^~:\x01\x1f\r\n"]""")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_ONE_COLUMN = 0.8


def is_one_column(text: str) -> bool:
    r"""Whether delimiters stand within whole quoted lines only.

    Example:
        >>> is_one_column('note\n"a, b"\nc\n'), is_one_column('"a","b"\n"c","d"\n')
        (True, False)
    """
    if '"' not in text or any(sign in _QUOTED.sub("", text) for sign in DELIMITERS):
        return False
    return all(not _QUOTED.sub("", line) or '"' not in line for line in text.splitlines())


def is_wrapped(text: str) -> bool:
    r"""Whether each line is quoted as a whole, though it has several fields.

    Example:
        >>> is_wrapped('"a,b"\n"1,2"\n"3,4"\n'), is_wrapped('"a","b"\n"1","2"\n')
        (True, False)
    """
    if not text.startswith('"'):
        return False
    lines = [line for line in text[:_LOOKED_AT].splitlines() if line][:_RECORDS]
    bodies = [line[1:-1].replace('""', "") for line in lines]
    if len(lines) < 2 or any(line[0] != '"' or line[-1] != '"' for line in lines):
        return False
    if any('"' in body for body in bodies):
        return False
    counts = [{body.count(sign) for body in bodies} for sign in DELIMITERS]
    return any(len(found) == 1 and found != {0} for found in counts)


def best_dialect(text: str, known: Layout, pinned: set[str]) -> tuple[Layout, float]:
    r"""The layout whose records are most alike, and how sure it is.

    Args:
        text: The first lines of the file.
        known: What is known of it.
        pinned: Which of delimiter, quote and escape are.

    Example:
        >>> layout, confidence = best_dialect("a;b\n1,5;'x;y'\n2,5;'z'\n", Layout(), set())
        >>> layout.delimiter, layout.quote
        (';', "'")
    """
    text = text[:_LOOKED_AT]
    if not pinned & {"delimiter", "quote"} and is_one_column(text):
        return replace(known, delimiter=",", quote='"', escape='"'), _ONE_COLUMN
    scored = [(_score(text, layout), layout) for layout in _candidates(text, known, pinned)]
    best, chosen = max(scored, key=lambda pair: pair[0])
    others = [score for score, layout in scored if layout.delimiter != chosen.delimiter]
    ahead = best - max(others, default=0.0)
    return chosen, round(min(1.0, best * (0.6 + ahead)), 2)


def _candidates(text: str, known: Layout, pinned: set[str]) -> Iterator[Layout]:
    signs = [known.delimiter]
    if "delimiter" not in pinned:
        signs = [sign for sign in DELIMITERS if sign in text] or [known.delimiter]
    for sign in signs:
        for quote in [known.quote] if "quote" in pinned else _quotes(text):
            escapes = [known.escape] if "escape" in pinned else _escapes(text, quote)
            for escape in escapes:
                yield replace(known, delimiter=sign, quote=quote, escape=escape)
            if quote == '"' and "escape" not in pinned and _STRAY.search(text):
                yield replace(known, delimiter=sign, quote=quote, escape=quote, stray=True)


def _quotes(text: str) -> list[str]:
    single = ["'"] if SINGLE.search(text) else []
    return ['"', *single, *([""] if '"' in text else [])]


def _escapes(text: str, quote: str) -> list[str]:
    if not quote:
        return ["", *(["\\"] if "\\" in text else [])]
    return [quote, *(["\\"] if "\\" in text else [])]


def _score(text: str, layout: Layout) -> float:
    sample = Sample.of(text, layout, _RECORDS)
    if len(sample.records) > 1 and sample.records[-1].broken:  # cut off, perhaps
        sample = Sample(layout, sample.records[:-1])
    width = sample.width
    if not width:
        return 0.0
    fields = [record.fields for record in sample.rows]
    cells = [cell for record in fields for cell in record]
    good = sum(_quality(cell, layout) for cell in cells) / len(cells)
    # One column is what every text is; it is better than nothing.
    alike = sample.share**2 * (width - 1) / width if width > 1 else 0.05
    # A broken quote is likelier than quotes that close nothing, or mean nothing.
    bare = 0.85 if layout.quote == "" else 0.9 if layout.stray else 1.0
    # A column without even a name is half of a longer delimiter.
    hollow = any(not any(cells) for cells in list(zip(*fields, strict=True))[:-1])
    return alike * good * bare * (0.5 if hollow else 1.0)


def _quality(cell: str, layout: Layout) -> float:
    if not cell:
        return 0.5
    if _WITHIN_QUOTES.fullmatch(cell):
        return 0.1
    if "\\" + (layout.quote or layout.delimiter) in cell:
        return 0.2
    return 1.0 if _VALUE.fullmatch(cell) else 0.7
