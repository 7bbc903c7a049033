"""A sheet as text, with the kinds of its cells, read in a process with limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from prefect_etl.connectors.files.foreign import cells_of
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError


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

    def header_lines(self, place: Place) -> int:
        """How many rows name the columns: as the user says; else one, where it is all text."""
        if place.dataset.header_lines is not None:
            return place.dataset.header_lines
        if place.dataset.header is not None:
            return int(place.dataset.header)
        return int(bool(self.head) and all(kind in ("", "text") for kind in self.head[0]))

    def kinds(self, lines: int) -> list[set[str]]:
        """The kinds of the values of each column, but of the rows that name the columns."""
        rows = self.head[lines:]
        return [{*self.rest[n], *(row[n] for row in rows)} - {""} for n in range(self.width)]

    def texts(self, lines: int) -> list[list[str]]:
        """The texts of the first rows; a merged cell is in each of its columns."""
        columns = ", ".join(f"c{n}" for n in range(self.width))
        rows = self.session.query(
            f"SELECT row, {columns} FROM read_parquet({literal(self.path)}, file_row_number = true)"
            f" WHERE file_row_number < {lines} ORDER BY file_row_number"
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
        yield Sheet(unit.position, path, place.session, *cells_of(place, unit, path))
