"""Looks at a file: how it is written, what table it would become, what would be put aside."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prefect_etl.connectors.files.config import FilesConnection, FilesDataset
from prefect_etl.connectors.files.form import Explained, Explaining, form_of
from prefect_etl.connectors.files.place import Place
from prefect_etl.connectors.files.source import FilesSource
from prefect_etl.core.aside import Aside
from prefect_etl.core.inspection import InspectedColumn, Inspection
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch, Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.pipeline.copying.refining import refining
from prefect_etl.pipeline.reading import dataset_of, file_end, in_order
from prefect_etl.storage.parquet import write_parquet

# Rows are told of after so many were read: a file of any size is looked at in a moment.
_LOOKED_AT = 20_000


def inspect(path: str | os.PathLike[str], *, rows: int = 5, **pins: Any) -> Inspection:
    r"""Look at a file.

    Args:
        path: The file.
        rows: How many of its first rows to give.
        **pins: What is known already: keys of a dataset in the pipeline file.

    Raises:
        ConfigError: A pin is not one, or has no such value.
        SourceReadError: The file is not there, or is nothing that can be read.

    Example:
        >>> with TemporaryDirectory() as folder:
        ...     path = Path(folder) / "towns.csv"
        ...     _ = path.write_text("town;people\nUlm;128000\nBonn;331000\n")
        ...     found = inspect(path)
        >>> [(column.name, column.type) for column in found.columns]
        [('town', 'VARCHAR'), ('people', 'BIGINT')]
    """
    folder, name = file_end(os.fspath(path))
    dataset = dataset_of(FilesDataset, {"path": name, **pins})
    with TemporaryDirectory(prefix="prefect_etl-inspect-") as scratch:
        session = Session(spill=Path(scratch) / "spill")
        with closing(session):
            source = FilesSource(FilesConnection(folder=folder), dataset, session)
            state = LedgerState()
            units = list(source.units(state))
            place = source.place
            explained = _explained(place, units[0])
            batches = source.batches(units, state)
            taken = Path(scratch) / "taken.parquet"
            schema, aside = refining(
                source, batches, lambda b: _taken(source, session, b[0], taken)
            )
            texts = _texts(session, schema, taken, max(rows, 1))
            return Inspection(
                path=units[0].position,
                format=place.kind(units[0]),
                facts=explained.facts,
                columns=_columns(schema, texts),
                rows=texts[:rows],
                rejected=sum(aside.counts.values()),
                notes=(*explained.notes, *map(str, aside.repairs)),
                pins=explained.pins,
            )


def _explained(place: Place, unit: Unit) -> Explained:
    form = form_of(place.kind(unit))
    return form.explain(place, unit) if isinstance(form, Explaining) else Explained()


def _taken(
    source: FilesSource, session: Session, batch: Batch, path: Path
) -> tuple[TableSchema, Aside]:
    """Write the first rows to a file; what they are, and what was not among them."""
    path.unlink(missing_ok=True)
    with source.read(batch) as rows:
        written = write_parquet(session, in_order(rows), path, batch.units, _LOOKED_AT)
        return written.schema, rows.aside() if rows.aside else Aside()


def _texts(
    session: Session, schema: TableSchema, path: Path, rows: int
) -> tuple[tuple[str | None, ...], ...]:
    columns = ", ".join(f"CAST({identifier(name)} AS VARCHAR)" for name in schema.names)
    found = session.query(
        f"SELECT {columns} FROM read_parquet({literal(path)}, file_row_number = true) "
        f"WHERE file_row_number < {rows} ORDER BY file_row_number"
    )
    return tuple(found)


def _columns(
    schema: TableSchema, rows: tuple[tuple[str | None, ...], ...]
) -> tuple[InspectedColumn, ...]:
    examples = [next((text for text in column if text), None) for column in zip(*rows, strict=True)]
    examples += [None] * (len(schema.columns) - len(examples))
    return tuple(
        InspectedColumn(column.name, column.type, example)
        for column, example in zip(schema, examples, strict=True)
    )
