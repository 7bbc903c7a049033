"""Polluted CSV files and what is true of them.

In the spirit of Pollock (Vitagliano et al., VLDB 2023): one clean table, spoiled in one way, and in
every two ways that make sense together. The truth is that of the clean table; records that are
spoiled themselves are bad, and belong among the rejects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

from prefect_etl.connectors.files.csv.layout import Layout

NAMES = ("id", "name", "amount", "day", "note")
_PLACES = ("Bern", "Oslo", "Rome", "Kyiv", "Lima", "Cork", "Nara")
_NOTES = ("plain", "late again", "as agreed", "to be checked", "paid", "see letter")
_ROWS = 28


@dataclass(frozen=True)
class Table:
    """How a table is written: the clean way, unless a pollution says otherwise."""

    names: tuple[str, ...] | None = NAMES
    known: tuple[str, ...] | None = NAMES
    rows: tuple[tuple[str, ...], ...] = ()
    header_lines: tuple[tuple[str, ...], ...] = ()
    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    every: bool = False
    end: str = "\n"
    encoding: str = "utf-8"
    number: Callable[[Decimal], str] = str
    date: Callable[[str], str] = str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    spoilt: Mapping[int, Callable[[str, Table], str]] = field(default_factory=dict)
    spoilt_bytes: Mapping[int, bytes] = field(default_factory=dict)
    pins: Mapping[str, Any] = field(default_factory=dict)
    mixed_ends: bool = False
    decimal: str = "."
    thousands: str = ""
    dates: tuple[str, ...] = ()


Change = Callable[[Table], Table]


@dataclass(frozen=True)
class Case:
    """A file.

    Attributes:
        kinds: The pollutions, one or two.
        data: Its bytes.
        names: Of its columns; None where they are not compared.
        rows: Its good rows: cells in their clean spelling.
        bad: Ids of its bad records.
        pins: What the user says.
        layout: How it is written.
    """

    kinds: tuple[str, ...]
    data: bytes
    names: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]
    bad: tuple[str, ...]
    pins: Mapping[str, Any]
    layout: Layout | None = None

    @property
    def title(self) -> str:
        """For people."""
        return " + ".join(self.kinds)


def clean_rows(names: tuple[str, ...] = _PLACES) -> tuple[tuple[str, ...], ...]:
    """The clean table: id, name, amount, day, note."""
    return tuple(
        (
            str(1001 + n),
            names[n % len(names)],
            str(Decimal(1_234_567 + 98_765 * n) / 100),
            f"2024-{1 + n % 12:02d}-{13 + n % 15:02d}",
            _NOTES[n % len(_NOTES)],
        )
        for n in range(_ROWS)
    )


def _cell(text: str, table: Table) -> str:
    needs = any(sign and sign in text for sign in (table.delimiter, table.quote, "\n", "\r"))
    if table.escape != table.quote:
        for sign in (table.escape, table.quote, *(() if table.quote else (table.delimiter,))):
            text = text.replace(sign, table.escape + sign) if sign else text
    elif table.quote:
        text = text.replace(table.quote, table.quote * 2)
    return f"{table.quote}{text}{table.quote}" if table.quote and (needs or table.every) else text


def _line(cells: tuple[str, ...], table: Table) -> str:
    return table.delimiter.join(_cell(cell, table) for cell in cells)


def written(table: Table) -> bytes:
    """The file of a table."""
    lines = [*table.before]
    lines += [_line(cells, table) for cells in table.header_lines]
    if table.names is not None:
        lines.append(_line(table.names, table))
    marks: dict[int, bytes] = {}
    for n, (key, name, amount, day, note) in enumerate(table.rows):
        cells = (key, name, table.number(Decimal(amount)), table.date(day), note)
        line = _line(cells, table)
        if n in table.spoilt:
            line = table.spoilt[n](line, table)
        if n in table.spoilt_bytes:
            marks[len(lines)] = table.spoilt_bytes[n]
        lines.append(line)
        if table.between and n in (5, 11):
            lines.extend(table.between)
    lines += table.after
    ends = (table.end, "\r\n" if table.end == "\n" else "\n") if table.mixed_ends else (table.end,)
    data = bytearray(b"\xef\xbb\xbf" if table.encoding == "utf-8-sig" else b"")
    encoding = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le"}.get(table.encoding, table.encoding)
    data += b"\xff\xfe" if table.encoding == "utf-16" else b""
    for n, line in enumerate(lines):
        data += line.encode(encoding) + marks.get(n, b"")
        data += ends[n % 7 == 3 and len(ends) > 1].encode(encoding)
    return bytes(data)


def _with_notes(table: Table, **notes: str) -> Table:
    rows = list(table.rows)
    for at, note in enumerate(notes.values()):
        place = 3 + 4 * at
        rows[place] = (*rows[place][:4], note)
    return replace(table, rows=tuple(rows))


def _delimiter(sign: str) -> Change:
    return lambda table: replace(table, delimiter=sign)


def _spoil(at: int, how: Callable[[str, Table], str]) -> Change:
    return lambda table: replace(table, spoilt={**table.spoilt, at: how})


def _named(*names: str) -> Change:
    return lambda table: replace(table, rows=clean_rows(names))


def _encoded(encoding: str, *names: str) -> Change:
    return lambda table: replace(_named(*names)(table), encoding=encoding)


def _grouped(thousands: str, decimal: str) -> Change:
    signs = str.maketrans({",": thousands, ".": decimal})

    def number(value: Decimal) -> str:
        return f"{value:,.2f}".translate(signs)

    return lambda table: replace(table, number=number, decimal=decimal, thousands=thousands)


def _dated(form: str) -> Change:
    def spelt(text: str) -> str:
        return date.fromisoformat(text).strftime(form)

    return lambda table: replace(table, date=spelt, dates=(form,))


def _quoted_texts(table: Table) -> Table:
    texts = {"a": f"with {table.delimiter} inside", "b": 'he said "yes"', "c": "two\nlines"}
    if not table.quote:
        texts = {"a": "with no sign inside"}
    return _with_notes(table, **texts)


def _nul(table: Table) -> Table:
    rows = list(table.rows)
    rows[7] = (*rows[7][:4], "a \0 within")
    return replace(table, rows=tuple(rows))


# By dimension: two of one dimension cannot be had together.
POLLUTIONS: Mapping[str, Mapping[str, Change]] = {
    "delimiter": {
        "delimiter ;": _delimiter(";"),
        "delimiter tab": _delimiter("\t"),
        "delimiter |": _delimiter("|"),
        "delimiter ^": _delimiter("^"),
        "delimiter ~": _delimiter("~"),
        "delimiter ||": _delimiter("||"),
    },
    "quote": {
        "quote '": lambda t: replace(t, quote="'", escape="'"),
        "no quote": lambda t: replace(t, quote="", escape=""),
        "escape \\": lambda t: replace(t, escape="\\"),
        "all quoted": lambda t: replace(t, every=True),
    },
    "lines": {
        "CRLF": lambda t: replace(t, end="\r\n"),
        "CR": lambda t: replace(t, end="\r"),
        "mixed line ends": lambda t: replace(t, mixed_ends=True),
    },
    "around": {
        "preamble": lambda t: replace(t, before=("Report of payments", "made by the office", "")),
        "preamble, pinned": lambda t: replace(
            t, before=("Report of payments", "made by the office", ""), pins={"skip": 3}
        ),
        "footer, pinned": lambda t: replace(
            t, after=("", "28 payments in all"), pins={"footer": 2}
        ),
        "comments, pinned": lambda t: replace(
            t, between=("# checked by hand",), pins={"comment": "#"}
        ),
        "blank lines": lambda t: replace(t, between=("", "")),
        "a second table": lambda t: replace(
            t, after=("", "", "code,label,x", "A,first,1", "B,second,2"), pins={"block": 1}
        ),
    },
    "header": {
        "no header": lambda t: replace(t, names=None, known=None),
        "duplicate names": lambda t: replace(
            t, names=("id", "name", "amount", "day", "name"), known=None
        ),
        "an empty name": lambda t: replace(
            t, names=("id", "", "amount", "day", "note"), known=None
        ),
        "two header lines, pinned": lambda t: replace(
            t,
            header_lines=(("key", "who", "money", "when", "what"),),
            known=None,
            pins={"header_lines": 2},
        ),
    },
    "record": {
        "a short record": _spoil(9, lambda line, t: line.rsplit(t.delimiter, 2)[0]),
        "a long record": _spoil(9, lambda line, t: f"{line}{t.delimiter}more{t.delimiter}yet"),
        "a trailing delimiter": _spoil(9, lambda line, t: line + t.delimiter),
        "a quote not closed": _spoil(
            9,
            lambda line, t: f"{t.quote}{line}" if not t.every and t.quote else f"{line}{t.quote}x",
        ),
        "text after a quote": _spoil(
            9,
            lambda line, t: t.delimiter.join(
                [f"1010{t.delimiter}{t.quote}a{t.quote} b", *line.split(t.delimiter)[2:]]
            ),
        ),
    },
    "encoding": {
        "UTF-8": _encoded("utf-8", "Zürich", "Łódź", "Kraków", "東京", "Århus"),
        "UTF-8 with BOM": _encoded("utf-8-sig", "Zürich", "Łódź", "Kraków", "東京"),
        "UTF-16": _encoded("utf-16", "Zürich", "Łódź", "東京", "Århus"),
        "CP-1252": _encoded("cp1252", "Zürich", "Genève", "Malmö", "Århus", "50 € fee"),
        "Shift-JIS": _encoded("shift_jis", "東京", "大阪市", "京都", "名古屋", "横浜の港"),
        "GB18030": _encoded("gb18030", "北京市", "上海", "广州", "深圳的路", "杭州"),
        "an invalid byte": lambda t: replace(t, spoilt_bytes={9: b"\xff"}),
    },
    "number": {
        "decimal comma": _grouped("", ","),
        "thousands ,": _grouped(",", "."),
        "thousands . and decimal comma": _grouped(".", ","),
        "thousands '": _grouped("'", "."),
    },
    "date": {
        "dd/mm/yyyy": _dated("%d/%m/%Y"),
        "dd.mm.yyyy": _dated("%d.%m.%Y"),
        "mm/dd/yyyy": _dated("%m/%d/%Y"),
        "dd Mon yyyy": _dated("%d %b %Y"),
    },
    "nul": {"a NUL": _nul},
    "text": {"delimiters, quotes and lines in texts": _quoted_texts},
}
# What cannot be written together, or would not be a fault together.
_SENSELESS = {
    frozenset(("no quote", "text after a quote")),
    frozenset(("no quote", "a quote not closed")),
    frozenset(("no quote", "thousands ,")),
    frozenset(("no quote", "decimal comma")),
    frozenset(("no quote", "thousands . and decimal comma")),
    frozenset(("quote '", "thousands '")),
    # Nothing else in the file tells that this is a quote.
    frozenset(("quote '", "text after a quote")),
    frozenset(("quote '", "a quote not closed")),
    frozenset(("no quote", "delimiters, quotes and lines in texts")),
    frozenset(("UTF-16", "a NUL")),
    *(
        frozenset((kind, other))
        for kind in ("a short record", "a trailing delimiter")
        for other in ("thousands ,", "decimal comma", "thousands . and decimal comma", "all quoted")
    ),
    *(
        frozenset(("text after a quote", other))
        for other in ("thousands ,", "decimal comma", "thousands . and decimal comma")
    ),
}
_BAD = frozenset(POLLUTIONS["record"]) | {"an invalid byte"}
# The order in which pollutions are made: those of records look at all others.
_ORDER = tuple(POLLUTIONS)


def cases(*, every: int = 1) -> Iterator[Case]:
    """The clean file, each pollution alone, and every so many of the pairs."""
    yield _case(())
    kinds = [(dimension, kind) for dimension, found in POLLUTIONS.items() for kind in found]
    for _, kind in kinds:
        yield _case((kind,))
    pairs = [
        (first, second)
        for (one, first), (other, second) in combinations(kinds, 2)
        if one != other and frozenset((first, second)) not in _SENSELESS
    ]
    for pair in pairs[::every]:
        yield _case(pair)
    yield from _small()


def _case(kinds: tuple[str, ...]) -> Case:
    table = Table(rows=clean_rows())
    for dimension in _ORDER:
        for kind in kinds:
            if kind in POLLUTIONS[dimension]:
                change = POLLUTIONS[dimension][kind]
                pins = table.pins
                table = change(table)
                table = replace(table, pins={**pins, **table.pins})
    bad = ("1010",) if _BAD & set(kinds) else ()
    rows = tuple(row for row in table.rows if row[0] not in bad)
    case = Case(kinds or ("clean",), written(table), table.known, rows, bad, table.pins)
    return replace(case, layout=_layout(table))


def _layout(table: Table) -> Layout:
    header = len(table.header_lines) + (table.names is not None)
    last = None
    if table.after:
        data = written(replace(table, after=())).decode(table.encoding, "surrogateescape")
        last = len(data.replace("\r\n", "\n").replace("\r", "\n").splitlines())
    return Layout(
        names=NAMES,
        encoding=table.encoding,
        delimiter=table.delimiter,
        quote=table.quote,
        escape=table.escape,
        comment=table.pins.get("comment", ""),
        first=len(table.before) + 1,
        header=header,
        last=last,
        decimal=table.decimal,
        thousands=table.thousands,
        dates={"day": table.dates} if table.dates else None,
    )


def _small() -> Iterator[Case]:
    yield Case(("one cell",), b"only\n", ("only",), (), (), {"header": True})
    yield Case(("a header alone",), b"a,b,c\n", ("a", "b", "c"), (), (), {})
    yield Case(("one column",), b"n\n1\n2\n3\n", ("n",), (("1",), ("2",), ("3",)), (), {})
    yield Case(("no line end",), b"a,b\n1,2\n3,4", ("a", "b"), (("1", "2"), ("3", "4")), (), {})
