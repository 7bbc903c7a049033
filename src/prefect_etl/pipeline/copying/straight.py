"""Rows that go from one server to another of its kind without being decoded between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prefect_etl.connectors.base import ArrowRows
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Batch
from prefect_etl.pipeline.copying.ends import Output
from prefect_etl.pipeline.copying.job import Job
from prefect_etl.pipeline.copying.opening import Opened
from prefect_etl.pipeline.prepare import OpenRows

_POSTGRES = "postgres"


def open_straight(job: Job, batches: Sequence[Batch], told: Callable[[str], None]) -> Opened | None:
    """The rows of a copy from PostgreSQL to PostgreSQL; None where they need the engine.

    Args:
        job: The copy.
        batches: What it reads.
        told: Told why not, where a person might expect it.

    Raises:
        EtlError: The source cannot be asked.
    """
    plain = job.spec.write in ("append", "replace") and job.spec.where is None
    if isinstance(job.end, Output) or len(batches) != 1 or not plain:
        return None
    names = {job.reading.connection.connector.name, job.end.connector.name}
    if names != {_POSTGRES}:
        return None
    from prefect_etl.connectors.postgres.passthrough import straight
    from prefect_etl.connectors.postgres.source import PostgresSource

    if not isinstance(job.source, PostgresSource):
        return None
    found = Opened(())

    def arrived(rows: int) -> None:
        found.arrived += rows
        job.arrived(rows)

    rows = straight(job.source, batches[0], job.work.session, job.label, arrived)
    if isinstance(rows, str):
        told(f"{job.label} goes by way of the engine: {rows}")
        return None
    schema = job.source.schema(batches[0])
    names_of = [column.name for column in rows.columns]
    found.parts = (OpenRows("SELECT NULL", TableSchema(tuple(schema[n] for n in names_of))),)
    found.stream = ArrowRows(rows)
    return found
