"""A sheet as text, with the kinds of its cells, read in a process with limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.foreign import cells_of
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, SourceReadError


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cells of a sheet, or of the range that is read of it.

    Attributes:
        position: The file.
        path: A Parquet file: ``row``, ``c0`` …, ``errors``.
        session: Reads the Parquet file.
        name: The sheet's name.
        width: How many columns.
        count: How many rows, those that name columns with them; empty ones are left out.
        head: The kinds of the cells of each of the first rows.
        rest: The kinds of the values of each column in all other rows.
        merged: Of merged cells: row, first and last column from 0.
    """

    position: str
    path: Path
    session: Session
    name: str
    width: int
    count: int
    head: Sequence[Sequence[str]]
    rest: Sequence[Sequence[str]]
    merged: Sequence[Sequence[int]]

    def titles(self, place: Place) -> int:
        """How many rows stand above the table: as the user says; else those that are a title.

        A title has one cell, and below it is a row of text that names every column. Above two
        columns it must have empty rows below it, too.
        """
        dataset = place.dataset
        if dataset.skip is not None:
            return sum(number <= dataset.skip for number in self.numbers(dataset.skip))
        if dataset.header is False or dataset.header_lines is not None or self.width < 2:
            return 0
        for count, kinds in enumerate(self.head):
            if sum(kind != "" for kind in kinds) != 1:
                numbers = self.numbers(count + 1)
                apart = self.width > 2 or numbers[-1] - numbers[0] > count
                named = all(kind == "text" for kind in kinds)
                return count if named and apart and count + 1 < self.count else 0
        return 0

    def numbers(self, most: int) -> list[int]:
        """The numbers of the first rows in their sheet, from 1."""
        rows = self.session.query(
            f"SELECT row FROM read_parquet({literal(self.path)}, file_row_number = true) "
            f"WHERE file_row_number < {most} ORDER BY file_row_number"
        )
        return [number for (number,) in rows]

    def header_lines(self, place: Place) -> int:
        """How many rows name the columns: as the user says; else one, where it is all text."""
        if place.dataset.header_lines is not None:
            return place.dataset.header_lines
        if place.dataset.header is not None:
            return int(place.dataset.header)
        first = self.head[self.titles(place) :][:1]
        return int(any(all(kind in ("", "text") for kind in row) for row in first))

    def kinds(self, first: int) -> list[set[str]]:
        """The kinds of the values of each column, from a row on, counted from 0."""
        rows = self.head[first:]
        return [{*self.rest[n], *(row[n] for row in rows)} - {""} for n in range(self.width)]

    def texts(self, first: int, lines: int) -> list[list[str]]:
        """The texts of some rows from one on; a merged cell is in each of its columns."""
        columns = ", ".join(f"c{n}" for n in range(self.width))
        rows = self.session.query(
            f"SELECT row, {columns} FROM read_parquet({literal(self.path)}, file_row_number = true)"
            f" WHERE file_row_number BETWEEN {first} AND {first + lines - 1} "
            "ORDER BY file_row_number"
        )
        return [self._spread(number, [cell or "" for cell in cells]) for number, *cells in rows]

    def _spread(self, number: int, texts: list[str]) -> list[str]:
        for row, first, last in self.merged:
            if row == number and last > first >= 0:
                end = min(last, self.width - 1) + 1
                texts[first:end] = [texts[first]] * (end - first)
        return texts


@contextmanager
def read_sheet(place: Place, unit: Unit) -> Iterator[Sheet]:
    """Read the sheet that is meant.

    Raises:
        ConfigError: The package that reads workbooks is not there.
        SourceReadError: The workbook cannot be read, or has no such sheet.
    """
    if find_spec("python_calamine") is None:
        raise ConfigError(
            "Excel files need the package python-calamine",
            hint='Install it with: pip install "prefect-etl[excel]"',
        )
    with place.scratch() as folder:
        path = folder / "cells.parquet"
        yield Sheet(unit.position, path, place.session, *_cells(place, unit, path))


def _cells(place: Place, unit: Unit, target: Path) -> tuple[Any, ...]:
    try:
        return cells_of(place, unit, target)
    except OSError as error:
        raise SourceReadError(
            f"{place.dataset.name}: {unit.position} cannot be read: {error}", hint=_hint(str(error))
        ) from error


def _hint(said: str) -> str:
    if "password" in said:
        return "Save it without its password, in a folder that only those may read who should."
    return (
        "Save it again with the program that wrote it, or say what to read: sheet, cells. "
        "Nothing of it was loaded."
    )
