"""Reads the cells of a sheet as text with their kinds, for the process in which that is done.

It imports nothing of this package. calamine (https://docs.rs/calamine) reads xlsx, xls, xlsb and
ods; it gives an empty text for an error cell, so those of xlsx are looked up in the sheet's XML.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

_ROWS = 4096
# Rows that may name the columns.
_HEAD = 10
_MOST_COLUMNS = 16_384
_ATTRIBUTE = re.compile(rb"""([\w:]+)\s*=\s*["']([^"']*)["']""")


class ExcelError(OSError):
    """A workbook cannot be read; says why in words."""


def read_cells(path: str, sheet: str | int | None, cells: str | None, target: str) -> list[Any]:
    """Write the cells of a sheet to a Parquet file: ``row`` from 1, ``c0`` …, ``errors``.

    Args:
        path: The workbook.
        sheet: A name, or a number from 1; None for the only one that is not empty.
        cells: ``B2:F100``; None for all.
        target: The Parquet file.

    Returns:
        One row: the sheet's name, how many columns and rows it has, the kinds of the cells of each
        of its first rows, those of each column in all others, and merged ranges. Rows without any
        value are left out.

    Raises:
        ExcelError: It is none, it has a password, or the sheet is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    name, opened = _sheet(path, sheet)
    area = _area(opened, cells)
    if area is None:
        return [[name, 0, 0, [], [], []]]
    top, left, bottom, right = area
    width = right - left + 1
    if width > _MOST_COLUMNS:
        raise ExcelError(f"the sheet {name} has more than {_MOST_COLUMNS} columns")
    errors = _errors(path, name)
    names = [f"c{n}" for n in range(width)]
    schema = pa.schema(
        [("row", pa.int64()), *((n, pa.string()) for n in names), ("errors", pa.string())]
    )
    head: list[list[str]] = []
    kinds: list[set[str]] = [set() for _ in range(width)]
    count = 0
    with pq.ParquetWriter(target, schema) as writer:
        for rows in _portions(_rows(opened, top, left, bottom, right), _ROWS):
            columns: list[list[Any]] = [[] for _ in range(width + 2)]
            for number, values in rows:
                wrong = [
                    f"{_letters(left + n)}{number} is {errors[number, left + n]}"
                    for n in range(width)
                    if (number, left + n) in errors
                ]
                found = [_told(value) for value in values]
                if not wrong and all(kind == "" for kind, _ in found):
                    continue
                if len(head) < _HEAD:
                    head.append([kind for kind, _ in found])
                else:
                    for seen, (kind, _) in zip(kinds, found, strict=True):
                        seen.add(kind)
                for column, value in zip(
                    columns, [number, *(t for _, t in found), "; ".join(wrong) or None], strict=True
                ):
                    column.append(value)
                count += 1
            writer.write_table(pa.table(columns, schema=schema))
    merged = [[r0 + 1, c0 - left, c1 - left] for (r0, c0), (_, c1) in _merged(opened)]
    return [[name, width, count, head, [sorted(k - {""}) for k in kinds], merged]]


def sheets(path: str) -> list[Any]:
    """The names of a workbook's sheets, one a row."""
    return [[name] for name in _workbook(path).sheet_names]


def _workbook(path: str) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        return CalamineWorkbook.from_path(path)
    except PasswordError as error:
        raise ExcelError("it has a password") from error
    except (CalamineError, OSError, ValueError) as error:
        raise ExcelError(f"it is no workbook, or damaged: {error}") from error


def _sheet(path: str, sheet: str | int | None) -> tuple[str, Any]:
    from python_calamine import CalamineError, WorksheetNotFound

    book = _workbook(path)
    names = book.sheet_names
    told = ", ".join(names) or "none"
    try:
        if isinstance(sheet, str):
            return sheet, book.get_sheet_by_name(sheet)
        if sheet is not None:
            return names[sheet - 1], book.get_sheet_by_name(names[sheet - 1])
        full = [(n, s) for n in names if (s := book.get_sheet_by_name(n)).start is not None]
    except (WorksheetNotFound, IndexError) as error:
        raise ExcelError(f"it has no sheet {sheet}; it has {told}") from error
    except CalamineError as error:
        raise ExcelError(f"a sheet cannot be read: {error}") from error
    if len(full) > 1:
        shown = ", ".join(n for n, _ in full)
        raise ExcelError(f"it has several sheets: {shown}; say which with sheet:")
    return full[0] if full else (names[0] if names else "", None)


def _area(opened: Any, cells: str | None) -> tuple[int, int, int, int] | None:
    """First row, first column, last row and last column, from 0, of what is read."""
    if opened is None or opened.start is None:
        return None
    (top, left), (bottom, right) = opened.start, opened.end
    if cells is None:
        return top, left, bottom, right
    match = re.fullmatch(r"([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})", cells.upper())
    if match is None:
        raise ExcelError(f"cells: {cells} is no range such as B2:F100")
    first, last = _number(match[1]), _number(match[3])
    return int(match[2]) - 1, first, min(int(match[4]) - 1, bottom), min(last, right)


def _rows(
    opened: Any, top: int, left: int, bottom: int, right: int
) -> Iterator[tuple[int, list[Any]]]:
    """Rows with their numbers from 1, cut to an area."""
    start_column = opened.start[1]
    for number, values in enumerate(opened.iter_rows()):
        if top <= number <= bottom:
            cut = values[max(left - start_column, 0) : right - start_column + 1]
            padded = [""] * min(max(start_column - left, 0), right - left + 1) + list(cut)
            yield number + 1, padded + [""] * (right - left + 1 - len(padded))


def _portions(rows: Iterator[Any], size: int) -> Iterator[list[Any]]:
    portion = []
    for row in rows:
        portion.append(row)
        if len(portion) == size:
            yield portion
            portion = []
    yield portion


def _told(value: Any) -> tuple[str, str | None]:
    """The kind of a value, and its text."""
    match value:
        case None | "":
            return "", None
        case bool():
            return "bool", "true" if value else "false"
        case int():
            return "whole", str(value)
        case float() if value.is_integer() and abs(value) < 2**53:
            return "whole", str(int(value))
        case float():
            return "number", repr(value)
        case datetime():
            return "moment", value.isoformat(sep=" ")
        case date():
            return "date", value.isoformat()
        case time():
            return "time", value.isoformat()
        case timedelta():
            seconds = value.total_seconds()
            minutes, rest = divmod(abs(seconds), 60)
            text = f"{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:09.6f}"
            return "duration", f"{'-' * (seconds < 0)}{text.rstrip('0').rstrip('.')}"
        case _:
            return "text", str(value)


def _merged(opened: Any) -> Sequence[Any]:
    return opened.merged_cell_ranges or ()


def _errors(path: str, sheet: str) -> dict[tuple[int, int], str]:
    """Cells of a sheet of xlsx without a value of their own, by row from 1 and column from 0.

    They hold an error, or a formula that no program has calculated yet.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as book:
        part = _part(book, sheet)
        if part is None:
            return {}
        walk = _Walk()
        with book.open(part) as stream:
            walk.parse(stream)
    return walk.found


class _Walk:
    """Goes through the XML of a sheet (ECMA-376, 18.3.1) and notes cells without a value."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], str] = {}
        self._row = 0
        self._column = -1
        self._error = self._formula = self._in_value = False
        self._value = ""

    def parse(self, stream: Any) -> None:
        from xml.parsers import expat

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.ParseFile(stream)
        except expat.ExpatError as error:
            raise ExcelError(f"a sheet is no XML: {error}") from error

    def _refuse(self, *_: Any) -> None:
        raise ExcelError("a sheet declares a document type, which no program writes")

    def _start(self, tag: str, of: dict[str, str]) -> None:
        match tag.rpartition(":")[2]:
            case "row":
                self._row = int(of.get("r") or self._row + 1)
                self._column = -1
            case "c":
                letters = of.get("r", "").rstrip("0123456789")
                self._column = _number(letters) if letters else self._column + 1
                self._error = of.get("t") == "e"
                self._formula, self._value = False, ""
            case "f":
                self._formula = True
            case "v" | "t":
                self._in_value = True

    def _end(self, tag: str) -> None:
        match tag.rpartition(":")[2]:
            case "v" | "t":
                self._in_value = False
            case "c":
                if self._error:
                    self.found[self._row, self._column] = self._value[:20] or "an error"
                elif self._formula and not self._value:
                    self.found[self._row, self._column] = "a formula that was never calculated"

    def _text(self, text: str) -> None:
        if self._in_value and len(self._value) < 100:
            self._value += text


def _part(book: zipfile.ZipFile, sheet: str) -> str | None:
    """The file in a workbook of xlsx that has the cells of a sheet."""
    import html

    names = set(book.namelist())
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= names:
        return None
    found = None
    for tag in re.findall(rb"<(?:\w+:)?sheet\b[^>]*>", book.read("xl/workbook.xml")):
        of = dict(_ATTRIBUTE.findall(tag))
        if html.unescape(of.get(b"name", b"").decode()) == sheet:
            found = of.get(b"r:id")
    for tag in re.findall(
        rb"<(?:\w+:)?Relationship\b[^>]*>", book.read("xl/_rels/workbook.xml.rels")
    ):
        of = dict(_ATTRIBUTE.findall(tag))
        if found is not None and of.get(b"Id") == found:
            target = of.get(b"Target", b"").decode().lstrip("/")
            part = target if target.startswith("xl/") else f"xl/{target}"
            return part if part in names else None
    return None


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _letters(number: int) -> str:
    text, rest = "", number + 1
    while rest:
        rest, digit = divmod(rest - 1, 26)
        text = chr(65 + digit) + text
    return text
