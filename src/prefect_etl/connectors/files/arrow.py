"""Arrow IPC: files and streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from prefect_etl.connectors.files.foreign import engine_for, null_columns
from prefect_etl.connectors.files.form import Better
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.rows import STREAM, ArrowRows, Relation, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.engine.confined_worker import arrow_stream

__all__ = ["FORM"]


class _Arrow:
    def detect(self, place: Place, units: Sequence[Unit]) -> list[tuple[Reading, list[Unit]]]:  # noqa: ARG002
        return [(Reading("arrow", TableSchema(()), {}), [unit]) for unit in units]

    def settle(self, place: Place, reading: Reading, table: TableSchema | None) -> Reading:  # noqa: ARG002
        return reading

    def better(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Better:  # noqa: ARG002
        return Better()

    @contextmanager
    def rows(self, place: Place, reading: Reading, units: Sequence[Unit]) -> Iterator[Rows]:  # noqa: ARG002
        path = place.path(units[0])
        engine = engine_for(place, units, arrow=path)
        if engine is not None:
            untyped = frozenset(null_columns(place, units[0]))
            yield Relation(f"SELECT * FROM {STREAM}", engine=engine, untyped=untyped)
            return
        with arrow_stream(str(path), trusted=True) as stream:
            yield ArrowRows(stream)


FORM = _Arrow()
