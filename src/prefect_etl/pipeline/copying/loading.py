"""The load of a copy: everything in one transaction of the destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from prefect_etl.connectors.base import Destination
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.load import Load, LoadResult
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError, DataError
from prefect_etl.pipeline.copying.dataset import PIPELINE, mode_of
from prefect_etl.pipeline.copying.job import Job
from prefect_etl.pipeline.copying.opening import Opened
from prefect_etl.pipeline.copying.refining import refining
from prefect_etl.pipeline.copying.shaping import null_key, shaped
from prefect_etl.pipeline.copying.straight import open_straight
from prefect_etl.pipeline.copying.units import Units
from prefect_etl.pipeline.load import window_of
from prefect_etl.pipeline.workspace import new_run_id


@dataclass(frozen=True, slots=True)
class Loading:
    """A copy into a table.

    Attributes:
        job: The copy.
        destination: Where the table is.
        state: What its ledger knows.
        units: What is read.
        notes: What a person should know afterwards.
    """

    job: Job
    destination: Destination
    state: LedgerState
    units: Units
    notes: list[str] = field(default_factory=list)

    def publish(self) -> LoadResult:
        """Read and commit.

        Raises:
            EtlError: As source and destination say; the table is as it was.
        """
        return refining(self.job.source, self.units.batches, self._commit)

    def _commit(self, batches: Sequence[Batch]) -> LoadResult:
        straight = open_straight(self.job, batches, self.notes.append)
        if straight is not None and self.job.has_named(straight.parts[0].schema.names):
            return self._committed(batches, straight)
        with self.job.open(batches, keep=self._same_name()) as rows:
            return self._committed(batches, rows)

    def _committed(self, batches: Sequence[Batch], rows: Opened) -> LoadResult:
        load = self._load(batches, rows)
        with self._explained():
            return self.destination.commit(load)

    def _same_name(self) -> bool:
        """Whether both ends are DuckDB files that cannot be open at the same time."""
        one = getattr(self.job.reading.connection.config, "path", None)
        other = getattr(self.destination, "path", None)
        return one is not None and other is not None and one.stem == other.stem

    def _load(self, batches: Sequence[Batch], rows: Opened) -> Load:
        spec, state = self.job.spec, self.state
        table = None if self.job.begins(state) else state.schema
        made = shaped(rows, spec, table, state.next_unit_id)
        refresh = made.anew or self.job.begins(state)
        window = window_of(batches)

        def counted() -> int | None:
            read = rows.arrived if rows.stream is not None else self._read(rows)
            rows.confirm()
            return read

        return Load(
            pipeline=PIPELINE,
            dataset=spec,
            state=state,
            evolution=made.evolution,
            units=replace(self.units, batches=tuple(batches)).numbered(state.next_unit_id),
            rows=made.rows,
            batches=(),
            run_id=new_run_id(),
            lineage=None if refresh else state.lineage,
            refresh=refresh,
            window=window,
            cursor=window.upper if window is not None else self._cursor(refresh=refresh),
            whole=window is None
            and (spec.missing == "delete" or all(b.reading.get("whole") for b in batches)),
            moment=datetime.now(UTC),
            stream=rows.stream,
            counted=counted,
        )

    def _cursor(self, *, refresh: bool) -> str | None:
        """The highest cursor that the table has still, after a copy without one."""
        emptied = refresh or self.job.spec.write == "replace"
        return None if emptied else self.state.cursor

    def _read(self, rows: Opened) -> int | None:
        """How many rows the source has; None: all that are written."""
        if self.job.spec.where is None:
            return None
        query = self.job.work.session.query
        counts = (query(f"SELECT count(*) FROM ({part.sql})") for part in rows.parts)
        return sum(int(count) for ((count,),) in counts)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Say of errors of the destination what they mean for a copy."""
        try:
            yield
        except Exception as error:
            name = null_key(self.job.spec, error)
            if name is not None:
                raise DataError(
                    f"{self.job.label}: the key {name} is null in a row, so it cannot be merged",
                    hint=f"Leave such rows out with --where '{name} IS NOT NULL', or give "
                    "another --key. Nothing was written.",
                ) from error
            if isinstance(error, ConfigError) and mode_of(self.job.request) is None:
                hint = "If it is this table, say --mode append, replace, merge or scd2."
                raise ConfigError(error.message, hint=hint) from error
            raise
