"""Where the files of one dataset are, and what reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from prefect_etl.connectors.files.archives.unpacked import Unpacked
from prefect_etl.connectors.files.config import FilesDataset, Format, format_of
from prefect_etl.connectors.files.listing import glob_literal
from prefect_etl.connectors.files.positions import content_of
from prefect_etl.core.schema import TableSchema
from prefect_etl.core.unit import Unit
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import SourceReadError


@dataclass(frozen=True, slots=True)
class Place:
    """What every form of files is given to work with.

    Attributes:
        session: The engine.
        folder: The connection's folder.
        dataset: How the user wants the files to be read.
        unpacked: What has to be unpacked before it can be read.
        table: The columns of the table, where a reading is made better and there is one.
    """

    session: Session
    folder: Path
    dataset: FilesDataset
    unpacked: Unpacked
    table: TableSchema | None = None

    def kind(self, unit: Unit) -> Format:
        """The format that the user says, or the file's name."""
        kind = self.dataset.format or format_of(content_of(unit.position))
        if kind is None:
            raise SourceReadError(
                f"dataset {self.dataset.name}: the name {unit.position} tells no format",
                hint=f"Say which it is with format: {' | '.join(get_args(Format))}.",
            )
        return kind

    def path(self, unit: Unit) -> Path:
        """The file that a unit is, or is a part of; unpacked, where the engine needs that."""
        return self.unpacked.path(unit.position)

    def scanned(self, units: Sequence[Unit]) -> list[str]:
        """The files of units, as the engine's readers want them."""
        return [glob_literal(str(self.path(unit))) for unit in units]

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for files that a reading needs meanwhile; gone with it, or with a dead run."""
        with TemporaryDirectory(prefix="reading-", dir=self.session.scratch()) as folder:
            yield Path(folder)
