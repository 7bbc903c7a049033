"""Opens the batches of a source for one pass: as SQL that the engine runs, or as one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect_etl.connectors.base import ArrowRows, Relation, Rows, Source
from prefect_etl.core.naming import assert_distinct
from prefect_etl.core.rows import STREAM, UNIT_INDEX
from prefect_etl.core.schema import UNKNOWN, Column, TableSchema
from prefect_etl.core.sql import literal
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError
from prefect_etl.pipeline.prepare import OpenRows
from prefect_etl.storage.parquet import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(slots=True)
class Opened:
    """A source that is open.

    Attributes:
        parts: Its rows, in the order in which later ones win.
        stream: What the parts read, where they are one stream.
        arrived: Rows that came by the stream so far.
        read: What was read, which knows what was not among its rows.
        holding: Closes the source; that asserts that what was read can be trusted.
    """

    parts: tuple[OpenRows, ...]
    stream: ArrowRows | None = None
    arrived: int = 0
    read: Sequence[Rows] = ()
    holding: ExitStack = field(default_factory=ExitStack)

    def confirm(self) -> None:
        """Close the source: it raises where something changed, or was not whole.

        Raises:
            SourceReadError: A file is truncated, or has records that are no rows.
            SourceChangedError: A file changed meanwhile.
        """
        _assert_all_rows(self.read)
        self.holding.close()


def _assert_all_rows(read: Sequence[Rows]) -> None:
    """A copy has no quarantine: what cannot be read as a row fails it."""
    rejected = sum(sum(rows.aside().counts.values()) for rows in read if rows.aside)
    if rejected:
        raise SourceReadError(
            f"{rejected} records cannot be read as rows",
            hint="A pipeline puts them aside and loads the others; see `prefect-etl inspect`.",
        )


@contextmanager
def opened(
    source: Source,
    batches: Sequence[Batch],
    session: Session,
    folder: Path,
    arrived: Callable[[int], None],
    *,
    keep: bool,
) -> Iterator[Opened]:
    """Open batches, so that all their rows can be read once, by SQL.

    Args:
        source: Whose batches.
        batches: In the order in which they are loaded.
        session: The engine.
        folder: For rows that cannot be read straight.
        arrived: Told how many more rows came by a stream.
        keep: Put the rows into files first.
    """
    with ExitStack() as holding:
        rows = [holding.enter_context(source.read(batch)) for batch in batches]
        if len(rows) == 1 and isinstance(rows[0], ArrowRows) and not keep:
            streamed = _streamed(rows[0], batches[0], session, holding, arrived)
            streamed.read = rows
            yield streamed
            return
        parts = tuple(
            _landed(part, batch, session, folder / f"{index:06d}.parquet")
            if keep or isinstance(part, ArrowRows) or part.parameters or part.engine
            else _related(part, batch, session)
            for index, (part, batch) in enumerate(zip(rows, batches, strict=True))
        )
        if keep:
            _assert_all_rows(rows)
            holding.close()
        yield Opened(parts, read=() if keep else rows, holding=holding)


def _related(rows: Relation, batch: Batch, session: Session) -> OpenRows:
    described = session.query(f"DESCRIBE {rows.sql}")
    return OpenRows(rows.sql, TableSchema(tuple(_columns(described, batch))))


def _columns(
    described: Sequence[tuple[Any, ...]], batch: Batch, nulls: frozenset[str] = frozenset()
) -> Any:
    packed = len(batch.units) > 1
    for name, kind, *_ in described:
        if not (packed and name == UNIT_INDEX):
            yield Column(name, UNKNOWN if name in nulls else kind)


def _landed(rows: Rows, batch: Batch, session: Session, path: Path) -> OpenRows:
    written = write_parquet(session, rows, path, batch.units)
    return OpenRows(f"SELECT * FROM read_parquet({literal(path)})", written.schema)


def _streamed(
    rows: ArrowRows,
    batch: Batch,
    session: Session,
    holding: ExitStack,
    arrived: Callable[[int], None],
) -> Opened:
    import pyarrow as pa

    reader = rows.stream
    if not isinstance(reader, pa.RecordBatchReader):
        reader = pa.RecordBatchReader.from_stream(reader)
    assert_distinct(reader.schema.names, batch.units[0].position)
    nulls = frozenset(f.name for f in reader.schema if pa.types.is_null(f.type))
    with session.cursor() as cursor:
        cursor.register(STREAM, reader)
        described = cursor.execute(f"DESCRIBE {rows.select}").fetchall()
        cursor.unregister(STREAM)
    part = OpenRows(rows.select, TableSchema(tuple(_columns(described, batch, nulls))))
    found = Opened((part,), holding=holding)
    found.stream = ArrowRows(_counting(reader, found, arrived))
    return found


def _counting(
    reader: pa.RecordBatchReader, found: Opened, arrived: Callable[[int], None]
) -> pa.RecordBatchReader:
    import pyarrow as pa

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in reader:
            found.arrived += batch.num_rows
            arrived(batch.num_rows)
            yield batch

    return pa.RecordBatchReader.from_batches(reader.schema, batches())
