"""CSV and TSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.connectors.files.csv.careful.reading import CAREFUL, careful_rows
from prefect_etl.connectors.files.csv.explaining import explain, with_notes
from prefect_etl.connectors.files.csv.joins import unread
from prefect_etl.connectors.files.csv.locating import lines_of
from prefect_etl.connectors.files.csv.refining import better
from prefect_etl.connectors.files.csv.scan import (
    as_text,
    converted,
    csv_source,
    guessed_integers,
    integers,
    with_guessed,
)
from prefect_etl.connectors.files.csv.types import detect
from prefect_etl.connectors.files.form import Better, Explained
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading, all_small, unit_index
from prefect_etl.connectors.files.settling import settle
from prefect_etl.core.rows import Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

__all__ = ["FORM"]


class _Csv:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        return detect(place, units)

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:
        return with_guessed(settle(reading, place.dataset, table), place.dataset, table)

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:
        return better(place, reading, units)

    def lines(
        self, place: Place, reading: Reading, unit: Unit, rows: Sequence[int]
    ) -> Sequence[int | None]:
        return lines_of(place, reading, unit, rows)

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:
        if CAREFUL in reading.options:
            with careful_rows(place, reading, units) as careful:
                yield with_notes(careful, reading, units)
            return
        source = csv_source(as_text(reading, integers(reading)), place.scanned(units))
        selected = converted(reading.columns, guessed_integers(reading), unread(reading.columns))
        rows = Relation(
            f"SELECT {selected}{unit_index(units)} FROM {source}",
            whole_units=all_small(units),
        )
        yield with_notes(rows, reading, units)

    def explain(self, place: Place, unit: Unit) -> Explained:
        return explain(place, unit)


FORM = _Csv()
