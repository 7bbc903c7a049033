"""Reads one file, folder, table or query into memory: the sources, without a pipeline."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from glob import has_magic
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from prefect_etl.connectors.base import Closing, ConnectionConfig, Connector, Source
from prefect_etl.connectors.files.config import FilesConnection
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.aside import REJECT_COLUMNS, Repair
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.rows import Relation, Rows
from prefect_etl.core.sql import identifier, literal
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ConfigError, SourceReadError
from prefect_etl.pipeline.copying.refining import refining
from prefect_etl.pipeline.prepare import KEEP, OpenRows, prepare_open
from prefect_etl.storage.parquet import write_parquet

if TYPE_CHECKING:
    import pyarrow as pa

# Two letters at least: one is a drive of Windows'.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Found:
    """What was read.

    Attributes:
        table: The rows, in the order of the source.
        repairs: What was mended on the way, one a kind and file.
        rejects: What could not be read as rows: ``source``, ``line`` (from 1), ``byte`` (from 0),
            ``rule``, ``reason`` and ``text``.
    """

    table: pa.Table
    repairs: tuple[Repair, ...]
    rejects: pa.Table

    def __str__(self) -> str:
        """What it is, in numbers."""
        said = f"{self.table.num_rows} rows of {self.table.num_columns} columns"
        aside = f", {self.rejects.num_rows} records put aside" if self.rejects.num_rows else ""
        return f"{said}{aside}{f', {len(self.repairs)} kinds of repair' if self.repairs else ''}"


def read(source: str | os.PathLike[str], *, memory_limit: str = "1GiB", **pins: Any) -> Found:
    r"""Read a file, a folder or a glob, or a table or query by a connection's URI.

    Args:
        source: A path, or a URI such as ``postgresql://host/shop``.
        memory_limit: What the engine may use; the table that is given comes on top.
        **pins: Keys of a dataset in the pipeline file: ``delimiter``, ``encoding``, ``skip``,
            ``types``, ``columns``, ``where``, ``bad_rows``, ``table``, ``query``, …

    Returns:
        The rows as Arrow, with the repairs and what was put aside.

    Raises:
        ConfigError: A pin is not one, or has no such value.
        SourceReadError: It is not there, or cannot be read as it is.

    Example:
        >>> import tempfile, pathlib
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "towns.csv"
        ...     _ = path.write_text("town;people\nUlm;128000\nBonn;331000\n")
        ...     found = read(path, types={"people": "int64"})
        >>> found.table.to_pylist()[0], len(found.repairs), found.rejects.num_rows
        ({'town': 'Ulm', 'people': 128000}, 0, 0)
    """
    connector, connection, given = _source(os.fspath(source))
    if connector.dataset is None or connector.source is None:
        raise ConfigError(f"{connector.name} cannot be read from")
    spec = dataset_of(connector.dataset, {**given, **pins})
    with TemporaryDirectory(prefix="prefect_etl-read-") as folder:
        session = Session(memory_limit=memory_limit, spill=Path(folder) / "spill")
        with closing(session):
            opened = connector.source(connection, spec, session)
            try:
                return _Reading(opened, spec, session, Path(folder)).all()
            finally:
                if isinstance(opened, Closing):
                    opened.close()


def _source(text: str) -> tuple[Connector, ConnectionConfig, dict[str, Any]]:
    """The connector and connection that a text means, and what it says of the dataset."""
    if _SCHEME.match(text) and not text.startswith("file:"):
        connector = connector_for(text)
        return connector, connector.connection.from_uri(text, Path.cwd()), {}
    folder, name = file_end(text)
    return connector_for("file:"), FilesConnection(folder=folder), {"path": name}


def file_end(text: str) -> tuple[Path, str]:
    """The folder of a file, and its name there, as a dataset's ``path`` has it.

    Raises:
        SourceReadError: There is no such file, and it is no glob.
    """
    path = Path(text.removeprefix("file:").removeprefix("//")).expanduser().absolute()
    if not path.exists() and not has_magic(path.name):
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SourceReadError(
            f"there is no file {text}{did_you_mean(path.name, near)}", hint="Check the path."
        )
    return path.parent, path.name


D = TypeVar("D", bound=DatasetSpec)


def dataset_of(model: type[D], fields: Mapping[str, Any]) -> D:
    """A dataset of the keys that a user gave.

    Raises:
        ConfigError: One is not a key of it, or has no such value.
    """
    try:
        return model.model_validate({"name": "rows", "write": "replace", **fields})
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        said = "; ".join(_said(part, known) for part in error.errors(include_url=False))
        raise ConfigError(
            said, hint="The pins are the keys of a dataset in the pipeline file."
        ) from error


def _said(fault: Any, known: Sequence[str]) -> str:
    name = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"there is no pin {name}{did_you_mean(name, known)}"
    return f"{name}: {str(fault['msg']).removeprefix('Value error, ')}".removeprefix(": ")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of all units of a source."""

    source: Source
    spec: DatasetSpec
    session: Session
    folder: Path

    def all(self) -> Found:
        state = LedgerState()
        batches = self.source.batches(list(self.source.units(state)), state)
        if not batches:
            raise SourceReadError(f"{self.spec.name}: there is nothing to read")
        return refining(self.source, batches, self._found)

    def _found(self, batches: Sequence[Batch]) -> Found:
        parts: list[OpenRows] = []
        rejects: list[str] = []
        repairs: list[Repair] = []
        for index, batch in enumerate(batches):
            path = self.folder / f"{index:06d}.parquet"
            path.unlink(missing_ok=True)
            with self.source.read(batch) as rows:
                written = write_parquet(self.session, in_order(rows), path, batch.units)
                aside = rows.aside() if rows.aside else None
                if aside is not None and aside.rejects is not None:
                    rejects.append(self._kept(aside.rejects, batch, index))
            repairs += aside.repairs if aside else ()
            parts.append(OpenRows(f"SELECT * FROM read_parquet({literal(path)})", written.schema))
        prepared = prepare_open(parts, self.spec, None, 1)
        columns = ", ".join(identifier(column.name) for column in prepared.evolution.schema)
        table = self._arrow(f"SELECT {columns} FROM ({prepared.rows}) WHERE {KEEP}")
        return Found(table, tuple(repairs), self._arrow(" UNION ALL ".join(rejects) or _NOTHING))

    def _kept(self, rejects: Path, batch: Batch, index: int) -> str:
        """SQL: the rejects of a batch, moved to where they stay until the end."""
        path = self.folder / f"{index:06d}.rejects.parquet"
        path.unlink(missing_ok=True)
        positions = literal([unit.position for unit in batch.units])
        columns = ", ".join(name for name in REJECT_COLUMNS if name != "unit")
        self.session.query(
            f"COPY (SELECT {positions}[unit + 1] AS source, {columns} "
            f"FROM read_parquet({literal(rejects)})) TO {literal(path)} "
            "(FORMAT parquet, PRESERVE_ORDER true)"
        )
        return f"SELECT * FROM read_parquet({literal(path)})"

    def _arrow(self, sql: str) -> pa.Table:
        with self.session.cursor() as cursor:
            cursor.execute("SET preserve_insertion_order = true")
            try:
                return cursor.execute(sql).to_arrow_table()
            finally:
                cursor.execute("SET preserve_insertion_order = false")


def in_order(rows: Rows) -> Rows:
    """The same rows, in the order of their units."""
    return replace(rows, whole_units=False) if isinstance(rows, Relation) else rows


_NOTHING = (
    "SELECT CAST(NULL AS VARCHAR) AS source, "
    + ", ".join(
        f"CAST(NULL AS {kind}) AS {name}" for name, kind in REJECT_COLUMNS.items() if name != "unit"
    )
    + " LIMIT 0"
)
