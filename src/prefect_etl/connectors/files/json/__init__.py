"""JSON and JSON Lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.connectors.files.form import Better
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading, all_small, unit_index
from prefect_etl.connectors.files.settling import settle
from prefect_etl.core.rows import Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

__all__ = ["FORM"]


class _Json:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:
        files = place.scanned([unit for unit in units if unit.size])
        if not files:
            raise SourceReadError(f"{units[0].position} is empty", hint="Put records in it.")
        # All of all files: a key that a sample missed would be left out without a word.
        described = place.session.query(
            f"DESCRIBE SELECT * FROM read_json({literal(files)}, sample_size = -1, "
            "union_by_name = true, maximum_sample_files = 2147483647)"
        )
        schema = TableSchema.from_pairs((row[0], row[1]) for row in described)
        return [(Reading(place.kind(units[0]), schema, {}), list(units))]

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:
        return settle(reading, place.dataset, table)

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:  # noqa: ARG002
        return Better()

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:
        types = literal(dict(reading.columns.pairs()))
        source = f"read_json({literal(place.scanned(units))}, columns = {types})"
        yield Relation(f"SELECT *{unit_index(units)} FROM {source}", whole_units=all_small(units))


FORM = _Json()
