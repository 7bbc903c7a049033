"""A load: everything a destination needs to publish the units of one dataset in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from prefect_etl.core.accounting import Accounting
from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.ledger import LedgerState
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ArrowRows
from prefect_etl.core.schema import Evolution
from prefect_etl.core.unit import Unit

_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class LoadUnit:
    """A unit with its number in the table and what is known of its rows before the load.

    ``counts`` holds ``read``, ``filtered`` and ``quarantined``; the destination adds the rest.
    """

    unit_id: int
    unit: Unit
    batch_id: str
    counts: Accounting
    seen_ns: int

    @property
    def good(self) -> int:
        """Rows that the destination will be given."""
        return self.counts.read - self.counts.filtered - self.counts.quarantined


@dataclass(frozen=True, slots=True)
class Load:
    """The units of one dataset, prepared and checked.

    Attributes:
        pipeline: The owner of the table.
        dataset: What the user said of it.
        state: The ledger state that the load extends, by compare-and-swap on its version.
        evolution: The table's schema after the load.
        units: In the order of their unit ids.
        rows: SQL (DuckDB) that selects the good rows: the columns of the evolved schema, then
            ``_etl_unit_id`` and ``_etl_row``.
        batches: Ids of the raw batches behind it.
        run_id: The run that loads.
        lineage: The history that the load belongs to; a new one begins if None.
        refresh: Begin from an empty table.
        window: The part of the source that was read; None where it was not read by its cursor. An
            append first takes the rows of the window out of the table: they are read again.
        cursor: The highest cursor ever loaded, as text, when this load is done.
        whole: The units are all that the source has now, so a key that is not among the rows is
            missing there.
        keys: SQL (DuckDB) that selects the key of each row that the source has now, where the units
            are not all of them; a key that is not among these or the rows is missing there.
        moment: When reading began: the time from which an ``scd2`` version holds where the dataset
            has no cursor.
        stream: Rows that ``rows`` reads as the table ``_etl_stream``, once; None where it reads the
            raw zone.
        counted: How many rows were read at the source, once they are written, or None where all of
            them were; it is the source's last word, and raises where what was read cannot be
            trusted. None itself where the numbers are known before, and stand in the units.
        replays: The version that the load made when it was first published, where it is published
            again; it may skip versions that a refresh made needless.
        older: Its rows are older than what the table has, where no cursor says otherwise: where a
            key is there, or was deleted, with the same cursor or without one, they lose.
    """

    pipeline: str
    dataset: DatasetSpec
    state: LedgerState
    evolution: Evolution
    units: tuple[LoadUnit, ...]
    rows: str
    batches: tuple[str, ...]
    run_id: str
    lineage: str | None = None
    refresh: bool = False
    window: Window | None = None
    cursor: str | None = None
    whole: bool = False
    moment: datetime = _EPOCH
    keys: str | None = None
    stream: ArrowRows | None = None
    counted: Callable[[], int | None] | None = None
    replays: int | None = None
    older: bool = False

    def counts(self, written: int) -> dict[int, Accounting]:
        """What is known of the rows of each unit, when all of them were given to the destination.

        Args:
            written: Rows that ``rows`` gave; only a load without raw zone learns from it how many
                were left out. All its rows are of its first unit; others are only remembered.
        """
        counts = {unit.unit_id: unit.counts for unit in self.units}
        if self.counted is None:
            return counts
        found, first = self.counted(), self.units[0]
        read = written if found is None else found
        counts[first.unit_id] = replace(first.counts, read=read, filtered=read - written)
        return counts

    @property
    def finds_missing(self) -> bool:
        """Whether keys that the source does not have any more are deleted, or closed."""
        return (self.whole or self.keys is not None) and self.dataset.deletes_missing

    @property
    def version(self) -> int:
        """The version that the load will make."""
        return self.replays if self.replays is not None else self.state.version + 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a destination did with a load.

    Attributes:
        version: The version that was made.
        lineage: The history it belongs to.
        counts: By unit id; their sum is the load's accounting.
        warned: Rules on the whole table that it breaks, and that only warn.
    """

    version: int
    lineage: str
    counts: Mapping[int, Accounting] = field(default_factory=dict)
    warned: tuple[RuleCount, ...] = ()
