"""Files that may be crafted: they are read in a process of its own, unless they are trusted.

DuckDB's and Arrow's readers check much, and state that a crafted file may crash them. What crashes
there, hangs, or grows without end, is an error that names the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.place import Place
from prefect_etl.core.rows import Engine
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.engine.confined import Confined, EndedError, Limits
from prefect_etl.engine.confined_worker import has_nanoseconds as _has_nanoseconds
from prefect_etl.engine.excel import read_cells
from prefect_etl.errors import SourceReadError

# In a question: the list of the files that it is about.
FILES = "$files"
# Reads every value, and gives back nearly nothing.
_READ_ALL = f"SELECT max(hash(COLUMNS(*))) FROM read_parquet({FILES})"
_Answer = list[tuple[Any, ...]]


def ask(place: Place, units: Sequence[Unit], sql: str) -> _Answer:
    """Ask the engine something of Parquet files.

    Args:
        place: Where they are.
        units: The files.
        sql: A SELECT with ``$files`` in the place of their list.

    Raises:
        SourceReadError: Reading one crashed, or went over a limit; it is named.
    """
    if place.dataset.trusted:
        # As text: parameters make DuckDB import pandas, for a quarter of a second.
        return place.session.query(_filled(sql, place, units))
    confined = place.session.confined()

    def answer(some: Sequence[Unit]) -> _Answer:
        return confined.query(_filled(sql, place, some), Limits.asking(_size(place, some)))

    return _answered(place, units, answer)


def has_nanoseconds(place: Place, unit: Unit, column: str, *, int96: bool) -> bool:
    """Whether a column of a Parquet file has timestamps that microseconds cannot hold.

    Raises:
        SourceReadError: Reading it crashed, or went over a limit.
    """
    of = {"path": str(place.path(unit)), "column": column, "int96": int96}
    if place.dataset.trusted:
        return _has_nanoseconds(**of)  # type: ignore[arg-type]
    return bool(_asked(place, unit, "nanoseconds", of)[0][0])


def null_columns(place: Place, unit: Unit) -> list[str]:
    """The columns of an Arrow file that are of no type, as all their values are null.

    Raises:
        SourceReadError: Reading it crashed, or went over a limit.
    """
    return [name for (name,) in _asked(place, unit, "nulls", str(place.path(unit)))]


def cells_of(place: Place, unit: Unit, target: Path) -> tuple[Any, ...]:
    """Write the cells of a sheet to a Parquet file; what :func:`engine.excel.read_cells` tells.

    Raises:
        SourceReadError: Reading it crashed, or went over a limit.
    """
    dataset = place.dataset
    of = {"path": str(place.path(unit)), "sheet": dataset.sheet, "cells": dataset.cells}
    of["target"] = str(target)
    if dataset.trusted:
        return tuple(read_cells(**of)[0])  # type: ignore[arg-type]
    return _asked(place, unit, "excel", of)[0]


def _asked(place: Place, unit: Unit, what: str, of: object) -> _Answer:
    confined = place.session.confined()
    return _answered(
        place, [unit], lambda some: confined.ask(what, Limits.reading(_size(place, some)), of=of)
    )


def engine_for(place: Place, units: Sequence[Unit], arrow: Path | None = None) -> Engine | None:
    """What reads all rows of files; None where they are trusted.

    Args:
        place: Where they are.
        units: The files.
        arrow: The only one, where it is an Arrow file.
    """
    if place.dataset.trusted:
        return None
    return _Engine(place, units, arrow, place.session.confined())


@dataclass(frozen=True, slots=True)
class _Engine:
    place: Place
    units: Sequence[Unit]
    arrow: Path | None
    confined: Confined

    def query(self, sql: str, frugal: str | None = None) -> _Answer:
        """Run one statement and give all its rows; see :class:`core.rows.Engine`."""

        def answer(some: Sequence[Unit]) -> _Answer:
            limits = Limits.reading(_size(self.place, some))
            # Which of several files it is, any reading of their values tells.
            if some != self.units:
                text = _filled(_READ_ALL, self.place, some)
                return self.confined.query(text, limits, self.arrow)
            return self.confined.query(sql, limits, self.arrow, frugal)

        return _answered(self.place, self.units, answer)


def _filled(sql: str, place: Place, units: Sequence[Unit]) -> str:
    return sql.replace(FILES, literal(place.scanned(units)))


def _size(place: Place, units: Sequence[Unit]) -> int:
    return sum(place.path(unit).stat().st_size for unit in units)


def _answered(
    place: Place, units: Sequence[Unit], answer: Callable[[Sequence[Unit]], _Answer]
) -> _Answer:
    """An answer, or an error that names the file that is at fault."""
    try:
        return answer(units)
    except Exception as error:
        reason = _ended(error)
        if reason is None:
            raise
        raise _refused(place, *_culprit(units, reason, answer)) from error


def _culprit(
    units: Sequence[Unit], reason: str, answer: Callable[[Sequence[Unit]], _Answer]
) -> tuple[Sequence[Unit], str]:
    """The one file that is at fault, by halves; all, where none of them is when it is alone."""
    while len(units) > 1:
        middle = len(units) // 2
        for half in (units[:middle], units[middle:]):
            found = _fault(half, answer)
            if found is not None:
                units, reason = half, found
                break
        else:
            return units, reason
    return units, reason


def _fault(units: Sequence[Unit], answer: Callable[[Sequence[Unit]], _Answer]) -> str | None:
    import duckdb

    try:
        answer(units)
    except duckdb.InterruptException:
        raise
    except (EndedError, duckdb.Error, OSError) as error:
        return _ended(error)
    return None


def _ended(error: Exception) -> str | None:
    """Why a reading was ended, in words; None where the engine itself says what is wrong."""
    import duckdb

    if isinstance(error, EndedError):
        return str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return "reading it took more memory than there is"
    if isinstance(error, duckdb.IOException) and "File too large" in str(error):
        return "it grows beyond all measure"
    return None


def _refused(place: Place, units: Sequence[Unit], reason: str) -> SourceReadError:
    name = place.dataset.name
    where = units[0].position if len(units) == 1 else f"one of {len(units)} files"
    return SourceReadError(
        f"{name}: {where} cannot be read: {reason}",
        hint="Mend or remove the file, then run again; nothing of it was loaded. Where it is sound "
        "and only large, give more memory (PREFECT_ETL_MEMORY_LIMIT=4GiB), or read it without "
        "these limits with trusted: true.",
    )
