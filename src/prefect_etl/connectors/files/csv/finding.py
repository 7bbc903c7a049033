"""Finds out how a file is written where the engine cannot, or errs: its layout and types."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_etl.connectors.files.config import FilesDataset
from prefect_etl.connectors.files.csv.careful.blocks import Encoding
from prefect_etl.connectors.files.csv.encoding import (
    Guess,
    encoding_of,
    known_encoding,
    unsure_encoding,
)
from prefect_etl.connectors.files.csv.footing import (
    is_total,
    names_delivery,
    names_years,
    total_note,
    units_note,
)
from prefect_etl.connectors.files.csv.header import (
    joined_names,
    numbered_names,
    odd_names,
    unique_names,
)
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.csv.opinion import best_dialect
from prefect_etl.connectors.files.csv.refusing import assert_lines, unlike
from prefect_etl.connectors.files.csv.sample import SAMPLE, Record, Sample
from prefect_etl.connectors.files.csv.tables import Table, tables, title_lines
from prefect_etl.connectors.files.csv.values import Typed, plain_type, typed
from prefect_etl.connectors.files.listing import open_plain
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

_HEAD = 1 << 20
# Footers and tables are counted from the end, so that the whole file is looked at.
_WHOLE = 256 << 20
_ALL_RECORDS = 10_000_000
_FEW_LINES = 20
_STRAY = "quotes within quoted fields are not escaped; they are taken as they stand"
_NAMED = re.compile(r'"?sep=(.)"?[ \t]*(?:\r\n|\r|\n)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Head:
    """The first bytes of a file, and whether they are all."""

    data: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Found:
    """How a file is written.

    Attributes:
        layout: All of it.
        columns: Names and types.
        encoding: And how sure it is.
        confidence: Of the dialect, from 0 to 1.
        notes: What a person should know.
    """

    layout: Layout
    columns: TableSchema
    encoding: Guess
    confidence: float
    notes: tuple[str, ...] = ()


def head_of(place: Place, unit: Unit, size: int = _HEAD) -> Head:
    """The first bytes of a file."""
    with open_plain(place.path(unit)) as stream:
        data = stream.read(size + 1)
    return Head(data[:size], len(data) <= size)


def encoding_in(dataset: FilesDataset, head: Head, name: str) -> Guess:
    """The encoding that the user says, or the bytes.

    Raises:
        SourceReadError: It cannot be told, or there is none of this name.
    """
    if dataset.encoding is not None:
        return Guess(known_encoding(dataset.encoding), 1.0)
    return encoding_of(head.data, whole=head.whole, name=name)


def find(place: Place, unit: Unit) -> Found:
    """How a file is written.

    Raises:
        SourceReadError: It cannot be told; what is to be said is.
    """
    dataset = place.dataset
    to_its_end = dataset.footer is not None or dataset.block is not None
    head = head_of(place, unit, _WHOLE if to_its_end else _HEAD)
    where = f"{dataset.name}: {unit.position}"
    if to_its_end and not head.whole:
        raise SourceReadError(
            f"{where} is too large to count its lines from the end",
            hint="Leave out footer: and block:, or split the file.",
        )
    guess = encoding_in(dataset, head, where)
    text = decoded(head, guess.name)
    assert_lines(dataset, text, where)
    layout, confidence = _dialect(place, unit, text, guess.name)
    most = _ALL_RECORDS if to_its_end else 2000
    sample = Sample.of(text if to_its_end else sampled(text), layout, most)
    sample = sample.padded()
    layout, notes = _bounded(dataset, where, sample)
    sample = Sample(layout, [r for r in sample.records if _within(r, layout)]).without_repeats()
    layout, found, said = _typed(dataset, sample)
    columns = TableSchema.from_pairs(zip(layout.names, found.types, strict=True))
    stray = (_STRAY,) if layout.stray else ()
    return Found(layout, columns, guess, confidence, (*_unsure(guess), *stray, *notes, *said))


def _unsure(guess: Guess) -> tuple[str, ...]:
    if guess.confidence == 1.0:
        return ()
    return (unsure_encoding(guess.name),)


def decoded(head: Head, encoding: str) -> str:
    """Whole lines of the head as text, without a mark at its start."""
    codec = Encoding(encoding, head.data)
    data = head.data[codec.bom :]
    end = len(data) if head.whole else codec.whole_lines(data) or len(data)
    return codec.text(data[:end])


def sampled(text: str) -> str:
    """So much of a text as is looked at, in whole lines."""
    if len(text) <= SAMPLE:
        return text
    part = text[:SAMPLE]
    end = max(part.rfind("\n"), part.rfind("\r"))
    return part[: end + 1] if part.count("\n") + part.count("\r") >= _FEW_LINES else text


def named_delimiter(dataset: FilesDataset, text: str) -> str | None:
    r"""The delimiter that a first line of its own names, as Excel writes and reads it.

    Example:
        >>> named_delimiter(FilesDataset(name="d", path="*.csv"), "sep=;\nid;name\n")
        ';'
    """
    found = _NAMED.match(text) if dataset.skip is None and dataset.delimiter is None else None
    return found[1] if found else None


def _dialect(place: Place, unit: Unit, text: str, encoding: str) -> tuple[Layout, float]:
    dataset = place.dataset
    quote = '"' if dataset.quote is None else dataset.quote
    pinned = {
        name: value
        for name in ("delimiter", "quote", "escape")
        if (value := getattr(dataset, name)) is not None
    }
    if place.kind(unit) == "tsv":
        pinned = {"delimiter": "\t", **pinned}
    named = named_delimiter(dataset, text)
    if named is not None:
        pinned["delimiter"] = named
    known = Layout(
        encoding=encoding,
        delimiter=pinned.get("delimiter", ","),
        quote=quote,
        escape=pinned.get("escape", quote),
        comment=dataset.comment or "",
        first=(dataset.skip or 0) + 1 + (named is not None),
    )
    return best_dialect(sampled(text), known, set(pinned))


def _within(record: Record, layout: Layout) -> bool:
    return record.line >= layout.first and (layout.last is None or record.line <= layout.last)


def _bounded(dataset: FilesDataset, where: str, sample: Sample) -> tuple[Layout, tuple[str, ...]]:
    """The lines that the table has."""
    layout, records = sample.layout, sample.records
    if dataset.footer and records:
        # Blank lines at the end of a footer are lines of it.
        lines = records[-1].line
        layout = replace(layout, last=max(lines - dataset.footer, layout.first))
        records = [record for record in records if _within(record, layout)]
    whole = sample.whole
    if (
        dataset.skip is None
        and len(whole) > 2
        and names_delivery(whole[0].fields, whole[-1].fields)
    ):
        layout = replace(layout, first=whole[1].line)
        return layout, (_left_out(layout.first - 1),)
    found = tables(records)
    if dataset.block is not None:
        table = _chosen(dataset.block, found, where)
        return replace(layout, first=table.first, last=table.last), ()
    if len(found) > 1:
        begin = ", ".join(str(table.first) for table in found)
        raise SourceReadError(
            f"{where} has {len(found)} tables, which begin in lines {begin}",
            hint=f"Say which one it is with block: 1 to {len(found)}; each can have a dataset of "
            "its own.",
        )
    lines, sure = title_lines(records, Sample(layout, records).width)
    if not lines or dataset.skip is not None:
        return layout, ()
    if not sure:
        raise unlike(where, lines, records[lines - 1].fields)
    first = records[lines].line
    note = () if all(record.blank for record in records[:lines]) else (_left_out(first - 1),)
    return replace(layout, first=first), note


def _left_out(lines: int) -> str:
    return f"the first {lines} lines are no part of the table; they are left out"


def _chosen(block: int, found: Sequence[Table], where: str) -> Table:
    if block > len(found):
        raise SourceReadError(
            f"{where} has {len(found)} tables; there is none with the number {block}",
            hint="Tables are parted by blank lines, and have different numbers of columns, or a "
            "header each.",
        )
    return found[block - 1]


def _typed(dataset: FilesDataset, sample: Sample) -> tuple[Layout, Typed, tuple[str, ...]]:
    rows = [record.fields for record in sample.rows]
    header = _header(dataset, rows)
    lines, rows = rows[:header], rows[header:]
    told = [*total_note(rows), *(units_note(rows) if header == 1 else [])]
    # A total or a trailer does not make a column text; where it does not fit it is put aside.
    rows = [row for row in rows if not is_total(row)] or rows
    notes: list[str] = []
    if not header:
        names = numbered_names(sample.width)
    elif header == 1:
        names, notes = unique_names(lines[0]), odd_names(lines[0])
    else:
        names = joined_names(lines)
    found = typed(
        names,
        _values(dataset, rows, len(names)),
        (dataset.decimal, dataset.thousands),
        dataset.dates,
    )
    layout = replace(
        sample.layout,
        names=names,
        header=header,
        decimal=found.decimal,
        thousands=found.thousands,
        dates=found.dates or None,
    )
    return layout, found, (*notes, *told, *found.notes)


def _values(dataset: FilesDataset, rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    nulls = {"", *dataset.nulls}
    return [[v for row in rows if (v := row[n]) not in nulls] for n in range(width)]


def _header(dataset: FilesDataset, rows: Sequence[Sequence[str]]) -> int:
    """How many lines name the columns."""
    if dataset.header_lines is not None:
        return min(dataset.header_lines, len(rows))
    if dataset.header is not None:
        return int(dataset.header and bool(rows))
    if len(rows) < 2:
        return len(rows)
    width = len(rows[0])
    rest = typed([str(n) for n in range(width)], _values(dataset, rows[1:], width), (None, None))
    kinds = [
        (kind, cell) for kind, cell in zip(rest.types, rows[0], strict=True) if kind != "VARCHAR"
    ]
    if kinds:
        if names_years(rows):
            return 1
        return int(not all(_looks_typed(cell) for _, cell in kinds))
    # All is text: a header names every column, each otherwise.
    return int(len(set(rows[0])) == width and all(rows[0]))


def _looks_typed(cell: str) -> bool:
    return plain_type([cell]) != "VARCHAR" or (any(map(str.isdigit, cell)) and len(cell) < 32)
