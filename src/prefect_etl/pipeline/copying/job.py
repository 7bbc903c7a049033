"""One copy that is ready to run: both ends are known, nothing is open yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from prefect_etl.connectors.base import Closing, Destination, Source
from prefect_etl.core.dataset import Columns, DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.copying.dataset import dataset_of, mode_of
from prefect_etl.pipeline.copying.ends import Output, Reading, reading_end, writing_end
from prefect_etl.pipeline.copying.naming import assert_named
from prefect_etl.pipeline.copying.opening import Opened, opened
from prefect_etl.pipeline.copying.request import Request, Work
from prefect_etl.pipeline.copying.units import Units, planned
from prefect_etl.pipeline.spec.connection import Connection

_NOTHING = LedgerState()


@dataclass(frozen=True, slots=True)
class Job:
    """A copy with both its ends.

    Attributes:
        request: As it was asked for.
        work: The engine, and where temporary files are.
        reading: Where it reads.
        spec: What it reads, and which table that becomes.
        source: Reads it.
        end: Where it writes.
    """

    request: Request
    work: Work
    reading: Reading
    spec: DatasetSpec
    source: Source
    end: Connection | Output

    @property
    def mode(self) -> str:
        """How rows are written, as people say it."""
        if isinstance(self.end, Output):
            return self.end.format
        return mode_of(self.request) or "new"

    @property
    def label(self) -> str:
        """What is read, as people say it."""
        return self.reading.label or self.request.table or "query"

    @property
    def target(self) -> str:
        """What is written, as people say it."""
        if isinstance(self.end, Output):
            return str(self.end.path or "standard output")
        schema = self.spec.schema_ or self.end.config.default_schema
        return f"{schema}.{self.spec.table}" if schema else self.spec.table

    def destination(self, end: Connection) -> Destination:
        """Where tables are written."""
        if end.connector.destination is None:
            raise ConfigError(f"DEST: {end.connector.name} cannot be written to")
        made: Destination = end.connector.destination(end.config, self.work.session)
        return made

    def begins(self, state: LedgerState) -> bool:
        """Whether the table is to be emptied first, and its history with it."""
        emptied = self.mode == "replace" and self.spec.write != "replace"
        return emptied or state.missing or state.refresh

    def units(self, state: LedgerState) -> Units:
        """What there is to read.

        Raises:
            EtlError: As :func:`planned`.
        """
        return planned(self.source, self.spec, state, self.reading, begins=self.begins(state))

    def arrived(self, rows: int) -> None:
        """Tell that so many more rows came."""
        self.work.means.progress.advanced("load", self.spec.name, 0, rows)

    @contextmanager
    def open(self, batches: Sequence[Batch], *, keep: bool = False) -> Iterator[Opened]:
        """Open batches of the source; columns that options name are there.

        Args:
            batches: In the order in which they are loaded.
            keep: Put the rows into files, so that the source is closed before they are used.

        Raises:
            SchemaError: A column is not there.
        """
        with TemporaryDirectory(dir=self.work.folder) as name:
            folder, session = Path(name), self.work.session
            with opened(self.source, batches, session, folder, self.arrived, keep=keep) as rows:
                names = [name for part in rows.parts for name in part.schema.names]
                if complete := self.has_named(names):
                    yield rows
        if not complete:  # another look at the source: it is closed by now
            self._refuse(names)

    def _asked(self) -> list[tuple[str, tuple[str, ...]]]:
        cursor = self.spec.cursor_column
        return [
            ("--columns", self.request.columns),
            ("--key", self.spec.key),
            ("--cursor", (cursor,) if cursor else ()),
        ]

    def has_named(self, names: Sequence[str]) -> bool:
        """Whether all columns that options name are among these."""
        present = {name.lower() for name in names}
        return all(name.lower() in present for _, asked in self._asked() for name in asked)

    def _refuse(self, names: Sequence[str]) -> None:
        known = list(dict.fromkeys(self._all_columns() or names))
        assert_named(self._asked(), known, self.label)
        raise ConfigError("--columns leaves out a column that --key or --cursor names")

    def _all_columns(self) -> list[str]:
        """The names of all columns; a source may read those only that were asked for."""
        make = self.reading.connection.connector.source
        if make is None or not self.spec.columns.select:
            return []
        spec = self.spec.model_copy(update={"columns": Columns(), "cursor": None})
        source = make(self.reading.connection.config, spec, self.work.session)
        with TemporaryDirectory(dir=self.work.folder) as name:
            batches = source.batches(list(source.units(_NOTHING)), _NOTHING)[:1]
            with opened(source, batches, self.work.session, Path(name), print, keep=False) as rows:
                return [name for part in rows.parts for name in part.schema.names]


@contextmanager
def prepared(request: Request, work: Work) -> Iterator[Job]:
    """Make a job of a request.

    Raises:
        ConfigError: The request is wrong.
    """
    reading, end = reading_end(request, work), writing_end(request, work)
    spec = dataset_of(request, reading, named=not isinstance(end, Output))
    make = reading.connection.connector.source
    if make is None:
        raise ConfigError(f"SOURCE: {reading.connection.connector.name} cannot be copied from")
    if spec.keyed:  # of two rows of a key the later one wins
        work.session.query("SET preserve_insertion_order = true")
    source = make(reading.connection.config, spec, work.session)
    try:
        yield Job(request, work, reading, spec, source, end)
    finally:
        if isinstance(source, Closing):
            source.close()
