"""Reads files of JSON with care: record by record, into lines that the engine takes as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from prefect_etl.connectors.files.json.descent import descend
from prefect_etl.connectors.files.json.encoding import WINDOW, as_utf8, encoding_of
from prefect_etl.connectors.files.json.exact import Fault
from prefect_etl.connectors.files.json.found import Found, Together
from prefect_etl.connectors.files.json.layout import Layout, layout_of
from prefect_etl.connectors.files.json.quick import Trust
from prefect_etl.connectors.files.json.records import records
from prefect_etl.connectors.files.json.rejects import Rejects
from prefect_etl.connectors.files.json.spelling import EMPTY
from prefect_etl.connectors.files.listing import glob_literal, open_plain
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.rows import UNIT_INDEX
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

_LEAST = 16 << 20


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is open: its bytes as UTF-8, and what was found out about it."""

    chunks: Iterator[bytes]
    encoding: str
    mark: int
    layout: Layout


@contextmanager
def opened(place: Place, unit: Unit) -> Iterator[Opened]:
    """Open a file, and find its encoding and layout."""
    with open_plain(place.path(unit)) as stream:
        head = stream.read(4)
        encoding, mark = encoding_of(head, place.dataset.encoding)
    with open_plain(place.path(unit)) as stream:
        chunks = as_utf8(stream, encoding, mark, unit.position)
        first = next(chunks, b"")
        whole = len(first) < WINDOW
        kind = place.kind(unit)
        text = first.decode("utf-8", "replace" if whole else "ignore")
        layout = layout_of(text, whole=whole, lines=kind == "jsonl")
        yield Opened(_all(first, chunks), encoding, mark, layout)


def _all(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from others


Spell = Callable[[dict[str, Any]], str]


class Spool:
    """A file of lines, one a record, of all files of a batch.

    Attributes:
        path: The file.
        rows: How many lines it has.
        longest: The bytes of the longest.
        large: Whether there are integers of more than 53 bits among those not looked at.
    """

    def __init__(self, place: Place, folder: Path, *, exact: bool) -> None:
        self.path = folder / "records.jsonl"
        self.rejects = Rejects(folder / "rejects.parquet", place.dataset.bad_rows)
        self.rows = 0
        self.longest = 0
        self.large = False
        self._path = (place.dataset.records or "").split(".") if place.dataset.records else []
        # A list that goes with keys of what it is in cannot be read before all of that is.
        self._streamed = () if place.dataset.parent else tuple(self._path)
        self._exact = exact
        self._place = place

    def fill(self, units: Sequence[Unit], spell: Spell, *, numbered: bool) -> None:
        """Write the records of files.

        Args:
            units: The files.
            spell: Spells a record.
            numbered: Whether each gets the index of its file.

        Raises:
            SourceReadError: A file has more that cannot be read than that can be, or anything where
                the user wants files to be refused then.
        """
        with self.path.open("w", encoding="utf-8", newline="\n") as file:
            for index, unit in enumerate(units):
                name = f'"{UNIT_INDEX}":{index}' if numbered else ""
                if unit.size:
                    self._fill(file, index, unit, spell, name)

    def scan(self, **options: Any) -> str:
        """SQL: the lines as the engine's reader takes them."""
        given = {"format": "newline_delimited", "maximum_object_size": max(self.longest, _LEAST)}
        arguments = (f"{name} = {literal(value)}" for name, value in (given | options).items())
        return f"read_json({literal([glob_literal(str(self.path))])}, {', '.join(arguments)})"

    def _fill(self, file: TextIO, index: int, unit: Unit, spell: Spell, name: str) -> None:
        mend = self._place.dataset.bad_rows == "repair"
        read, refused, last = 0, 0, None
        with opened(self._place, unit) as source:
            if source.encoding != "utf-8" and self._place.dataset.encoding is None:
                said = f"it is written in {source.encoding.upper()}, not in UTF-8"
                self.rejects.mended("json.encoding", said, unit.position)
            found_here = records(
                source.chunks,
                source.layout,
                mend=mend,
                exact=self._exact or self._descends(source.layout),
                within=self._streamed,
            )
            for found in found_here:
                if isinstance(found, Together):
                    self._write_together(file, found, name)
                    for line in found.doubled:
                        self._tell_doubled(found.key, unit.position, line)
                    read += len(found.values)
                    continue
                try:
                    read += self._add(file, found, spell, name)
                except Fault as fault:
                    self.rejects.add(index, unit.position, found, fault)
                    refused += _records_in(found, read)
                    last = (found, fault)
                else:
                    self._tell(found, unit.position)
        if last is not None and refused > read:
            raise _refused(unit.position, *last, read, refused)

    def _descends(self, layout: Layout) -> bool:
        """Whether each record must be looked at for those that it holds."""
        if layout == "newline_delimited":
            return bool(self._path)
        return self._path != list(self._streamed)

    def _write_together(self, file: TextIO, found: Together, name: str) -> None:
        import orjson

        lines = [orjson.dumps(value).decode() for value in found.values]
        if name:
            lines = [f"{{{name}{',' if len(line) > 2 else ''}{line[1:]}" for line in lines]
        file.write("\n".join(lines))
        file.write("\n")
        self.rows += len(lines)
        self.large = self.large or found.trust is Trust.NO_DOUBLES

    def _add(self, file: TextIO, found: Found, spell: Spell, name: str) -> int:
        if found.fault is not None:
            raise found.fault
        path = self._path if found.left is None else self._path[len(self._path) - found.left :]
        lines = [spell(r) for r in descend(found.value, path, self._place.dataset.parent)]
        for line in lines:
            row = line if not name else f"{{{name}{',' if len(line) > 2 else ''}{line[1:]}"
            file.write(row)
            file.write("\n")
            self.longest = max(self.longest, len(row) * (1 if row.isascii() else 4))
        self.rows += len(lines)
        return max(len(lines), 1)

    def _tell_doubled(self, key: str, position: str, line: int) -> None:
        said = f"the key {key} comes twice in an object; the last one counts"
        self.rejects.mended("json.key", said, position, line)

    def _tell(self, found: Found, position: str) -> None:
        if found.doubled:
            self._tell_doubled(found.doubled[0], position, found.line)
        if found.mended:
            said = "bytes that are not UTF-8, and halves of surrogate pairs, are replaced by U+FFFD"
            self.rejects.mended("json.encoding", said, position, found.line)
        if isinstance(found.value, dict) and "" in found.value:
            said = f"an empty key is called {EMPTY}"
            self.rejects.mended("json.name", said, position, found.line)


def _records_in(found: Found, read: int) -> int:
    """How many records a reject may be; the rest of a document, by the size of those before it."""
    return max(1, found.rest * read // max(found.byte, 1)) if found.rest else 1


def _refused(position: str, found: Found, fault: Fault, read: int, refused: int) -> SourceReadError:
    return SourceReadError(
        f"{position} cannot be read as JSON: {read} records can be read, about {refused} cannot; "
        f"line {found.line}: {fault.reason}",
        hint="Mend the file, or say how to read it: format: json | jsonl, encoding:, records:.",
    )
