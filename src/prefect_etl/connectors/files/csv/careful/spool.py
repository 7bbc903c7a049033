"""Keeps the fields of records as text in a Parquet file, and tells what was none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from prefect_etl.connectors.files.csv.careful.blocks import MARKED, Blocks
from prefect_etl.connectors.files.csv.careful.manner import QUOTE, Fault, Piece
from prefect_etl.connectors.files.csv.careful.mending import MISSING
from prefect_etl.connectors.files.csv.careful.records import Records
from prefect_etl.connectors.files.csv.layout import Layout
from prefect_etl.connectors.files.listing import open_plain
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.aside import REJECT_COLUMNS, Repair
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

# A row group has so many bytes; small files share one.
_GROUP_BYTES = 8 << 20
# Of what is no row so much text is kept.
_KEPT = 64 << 10
_FAULT_BYTES = 4 << 20
UNIT, LINE = "unit", "line"


@dataclass(frozen=True, slots=True)
class Spooled:
    """The records of a batch.

    Attributes:
        path: A Parquet file: ``unit``, ``line``, and a column of text for each field: ``c0``, …
        faults: A Parquet file with the columns of rejects; None where there are none.
        read: Records that were kept, by the index of their unit.
        aside: Records that were not, by the index of their unit.
        repairs: What was mended.
    """

    path: Path
    faults: Path | None
    read: Mapping[int, int]
    aside: Mapping[int, int]
    repairs: Sequence[Repair]


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a batch, how they are written and how many fields a record has."""

    place: Place
    layout: Layout
    width: int
    units: Sequence[Unit]

    @contextmanager
    def records(
        self, index: int, wanted: Mapping[int, tuple[str, str]] | None = None
    ) -> Iterator[Records]:
        """The records of one file."""
        unit, mend = self.units[index], self.place.dataset.bad_rows == "repair"
        with open_plain(self.place.path(unit)) as stream:
            try:
                blocks = Blocks(stream, self.layout.encoding)
                yield Records(blocks, self.layout, self.width, mend=mend, wanted=wanted)
            except SourceReadError as error:
                if unit.position in error.message:
                    raise
                said = f"{unit.position}: {error.message}"
                raise SourceReadError(said, hint=error.hint) from error


def spool(files: Files, folder: Path) -> Spooled:
    """Read all records of a batch, once, from end to end.

    Raises:
        SourceReadError: A file has what is no record, and that is not allowed; or it is no text.
    """
    path, faults = folder / "records.parquet", folder / "faults.parquet"
    read, aside = (dict.fromkeys(range(len(files.units)), 0) for _ in range(2))
    repairs: list[Repair] = []
    nulls = files.place.dataset.nulls
    with _RecordFile(path, files.width, nulls) as kept, FaultFile(faults) as file:
        for index, unit in enumerate(files.units):
            with files.records(index) as records:
                for piece in records:
                    read[index] += kept.keep(index, piece)
                    aside[index] += _noted(files, index, records.faults, file)
                aside[index] += _noted(files, index, records.faults, file)
                repairs += [
                    Repair(mend.kind, mend.said, often, unit.position, line)
                    for mend, (often, line) in records.mends.items()
                ]
    return Spooled(path, faults if any(aside.values()) else None, read, aside, repairs)


def _noted(files: Files, index: int, faults: list[Fault], file: FaultFile) -> int:
    if faults and files.place.dataset.bad_rows == "fail":
        raise refusal(files.place, files.units[index], faults[0])
    return file.note(index, faults)


def refusal(place: Place, unit: Unit, fault: Fault) -> SourceReadError:
    """What a user is told who wants no file with bad records."""
    return SourceReadError(
        f"{place.dataset.name}: {unit.position} cannot be read: line {fault.line}: {fault.reason}",
        hint="Mend the file, say how it is written (delimiter, quote, escape, encoding, skip, "
        "types), or let such records be put aside with bad_rows: quarantine.",
    )


class FaultFile:
    """A Parquet file of what is no row, which grows; opened and closed by ``with``."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        kinds = (pa.int32(), pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string())
        self._schema = pa.schema(list(zip(REJECT_COLUMNS, kinds, strict=True)))
        self._path = path
        self._faults: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        self._writer = _writer(self._path, self._schema)
        return self

    def __exit__(self, *_: object) -> None:
        with self._writer:
            self._flush()

    def note(self, unit: int, faults: list[Fault]) -> int:
        """Take what is no row; how many."""
        for fault in faults:
            shown = asdict(fault) | {"unit": unit, "text": said(fault.text)}
            self._bytes += len(shown["text"])
            self._faults.append(shown)
        count = len(faults)
        faults.clear()
        if self._bytes >= _FAULT_BYTES:
            self._flush()
        return count

    def _flush(self) -> None:
        import pyarrow as pa

        if self._faults:
            self._writer.write_table(pa.Table.from_pylist(self._faults, schema=self._schema))
        self._faults, self._bytes = [], 0


class _RecordFile:
    """A Parquet file of records as text, which grows; opened and closed by ``with``."""

    def __init__(self, path: Path, width: int, nulls: Sequence[str]) -> None:
        import pyarrow as pa

        self._path, self._nulls = path, nulls
        self._names = [f"c{n}" for n in range(width)]
        fields = [(name, pa.string()) for name in self._names]
        self._schema = pa.schema([(UNIT, pa.int32()), (LINE, pa.int64()), *fields])
        self._tables: list[Any] = []
        self._bytes = 0

    def __enter__(self) -> Self:
        self._writer = _writer(self._path, self._schema)
        return self

    def __exit__(self, *_: object) -> None:
        with self._writer:
            self._flush()

    def keep(self, unit: int, piece: Piece) -> int:
        """Write the records of a piece; how many."""
        import pyarrow as pa

        count = len(piece.lines)
        columns = [pa.array([unit] * count, pa.int32()), pa.array(piece.lines, pa.int64())]
        columns += table_of(piece, self._names, self._nulls).columns
        self._tables.append(pa.Table.from_arrays(columns, schema=self._schema))
        self._bytes += len(piece.text)
        if self._bytes >= _GROUP_BYTES:
            self._flush()
        return count

    def _flush(self) -> None:
        import pyarrow as pa

        if self._tables:
            self._writer.write_table(pa.concat_tables(self._tables).combine_chunks())
        self._tables, self._bytes = [], 0


def _writer(path: Path, schema: Any) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(
        path, schema, compression="lz4", use_dictionary=False, write_statistics=False
    )


def table_of(piece: Piece, names: Sequence[str], nulls: Sequence[str] = ()) -> Any:
    """The fields of a piece as an Arrow table of text; null where it says so, or is missing."""
    import pyarrow as pa
    from pyarrow import csv

    data = piece.text.encode("utf-8")
    return csv.read_csv(
        pa.BufferReader(data),
        read_options=csv.ReadOptions(
            column_names=list(names), block_size=len(data) + 1, use_threads=False
        ),
        parse_options=csv.ParseOptions(
            delimiter=piece.sign,
            quote_char=QUOTE if piece.quoted else False,
            newlines_in_values=piece.quoted,
            ignore_empty_lines=False,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            check_utf8=False,
            strings_can_be_null=True,
            null_values=[*nulls, MISSING],
        ),
    )


def said(text: str) -> str:
    r"""Text as it is kept: bytes that are no text as \xNN, and not without end.

    Example:
        >>> said("a\udcffb\0")
        'a\\xFFb\\x00'
    """
    shown = text if len(text) <= _KEPT else f"{text[:_KEPT]}…"
    shown = MARKED.sub(lambda match: rf"\x{ord(match[0]) - 0xDC00:02X}", shown)
    return re.sub("\0", r"\\x00", shown)
