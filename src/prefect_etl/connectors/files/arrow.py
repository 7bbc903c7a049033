"""Arrow IPC: files and streams."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from prefect_etl.connectors.files.form import Better
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.reading import Reading
from prefect_etl.core.rows import ArrowRows, Rows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit

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
        with _stream(place.path(units[0])) as stream:
            yield ArrowRows(stream)


@contextmanager
def _stream(path: Path) -> Iterator[Any]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as file:
        try:
            opened = pa.ipc.open_file(file)
        except pa.ArrowInvalid:
            file.seek(0)
            yield pa.ipc.open_stream(file)
            return
        batches = (opened.get_batch(i) for i in range(opened.num_record_batches))
        yield pa.RecordBatchReader.from_batches(opened.schema, batches)


FORM = _Arrow()
