"""Finds columns that cannot be read under their names."""

from __future__ import annotations

from collections.abc import Sequence

from prefect_etl.connectors.files.parquet.parts import ROW
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.rows import UNIT_INDEX
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError


def assert_named(reading: Reading, units: Sequence[Unit]) -> None:
    """Refuse files with a column whose name cannot be written.

    Raises:
        SourceReadError: There is one.
    """
    if any("\0" in column.name for column in reading.columns):
        raise SourceReadError(
            f"{units[0].position} cannot be read: its first line has NUL characters",
            hint="It is not text. Mend or remove the file, then run again.",
        )
    taken = [c.name for c in reading.columns if c.name.lower() in (ROW, UNIT_INDEX)]
    if taken:
        raise SourceReadError(
            f"{units[0].position} has a column {taken[0]}, a name by which rows are numbered",
            hint="Give the column another name at the source.",
        )
