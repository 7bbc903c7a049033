"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.connectors.files.foreign import engine_for
from prefect_etl.connectors.files.form import Better
from prefect_etl.connectors.files.parquet.parts import ROW
from prefect_etl.connectors.files.parquet.precision import assert_exact
from prefect_etl.connectors.files.parquet.shapes import detect
from prefect_etl.connectors.files.parquet.soundness import assert_sound
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading, unit_index
from prefect_etl.core.rows import Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit

__all__ = ["FORM"]


class _Parquet:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        groups = detect(place, units)
        for reading, members in groups:
            assert_sound(place, members)
            assert_exact(place, members, _dropped(place, reading))
        return groups

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:  # noqa: ARG002
        return reading

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:  # noqa: ARG002
        return Better()

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:
        engine = engine_for(place, units)
        files = literal(place.scanned(units))
        if reading.rows:
            yield Relation(_part(files, *reading.rows), engine=engine)
        else:
            selected = f"SELECT *{unit_index(units)} FROM read_parquet({files})"
            yield Relation(selected, engine=engine)


def _dropped(place: Place, reading: Reading) -> set[str]:
    """Columns of the files that are not loaded, in lower case."""
    columns = place.dataset.columns
    dropped = {name.lower() for name in columns.drop}
    if columns.select:
        selected = {name.lower() for name in columns.select}
        dropped |= {name.lower() for name in reading.columns.names} - selected
    return dropped


def _part(files: str, start: int, end: int) -> str:
    # DuckDB skips row groups by this number.
    return (
        f"SELECT * EXCLUDE ({ROW}) FROM read_parquet({files}, {ROW} = true) "
        f"WHERE {ROW} >= {start} AND {ROW} < {end}"
    )


FORM = _Parquet()
