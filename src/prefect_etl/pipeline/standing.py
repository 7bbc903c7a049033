"""What a load that was published means for rows that earlier loads put aside.

Rows wait in quarantine until they are replayed. Meanwhile the source may have given them again, in
another version of their file, or with the whole of a table: then they are stale, and to replay them
would double a row or bring an old one back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from prefect_etl.core.cursor import Window
from prefect_etl.core.dataset import DatasetSpec
from prefect_etl.core.manifest import LoadRecord, Manifest
from prefect_etl.core.unit import Unit
from prefect_etl.pipeline.quarantine import AsideSource, QuarantineEntry

# In the reading of a raw batch that holds rows from quarantine: the name of their file.
REPLAYED = "quarantine"
# Such a batch is older than all loads of its table, and nothing in its rows says so.
OLDER = "older"


@dataclass(frozen=True, slots=True)
class Published:
    """A load, as far as quarantine is concerned.

    Attributes:
        record: The load.
        spec: The dataset.
        units: What it read, by position.
        window: The window of the cursor that it read.
        whole: Whether it read all that the source has.
        replayed: Names of the files whose rows it replayed.
    """

    record: LoadRecord
    spec: DatasetSpec
    units: dict[str, Unit]
    window: Window | None
    whole: bool
    replayed: frozenset[str]

    @property
    def name(self) -> str:
        """As people read it."""
        return f"load {self.record.version}"


def published(
    record: LoadRecord, spec: DatasetSpec, read: Sequence[Manifest], window: Window | None
) -> Published:
    """A load from the batches that it was made of."""
    return Published(
        record=record,
        spec=spec,
        units={entry.unit.position: entry.unit for m in read for entry in m.units},
        window=window,
        whole=bool(read) and all(m.reading.get("whole") for m in read),
        replayed=frozenset(str(m.reading[REPLAYED]) for m in read if REPLAYED in m.reading),
    )


def after(entry: QuarantineEntry, load: Published) -> QuarantineEntry:
    """What becomes of an open file when a later load was published."""
    if entry.version > load.record.version:
        return entry
    why = _closed_by(entry, load)
    if why:
        return entry.close(why)
    if load.replayed:  # brings nothing that is newer
        return entry
    sources = tuple(_source_after(source, load) for source in entry.sources)
    entry = replace(entry, sources=sources, read_again=_windows_after(entry, load))
    if sources and all(source.superseded for source in sources):
        return entry.close(sources[0].superseded)
    return entry


def _closed_by(entry: QuarantineEntry, load: Published) -> str:
    if entry.name in load.replayed:
        return f"replayed in {load.name}"
    if not entry.loaded:
        return f"its load was not published; {load.name} was"
    if load.record.refresh or entry.lineage not in (None, load.record.lineage):
        return f"superseded: {load.name} began from an empty table"
    if entry.batches and set(entry.batches) <= set(load.record.batches):
        return f"replayed: {load.name} judged the same rows again"
    if load.spec.write == "replace" or (load.whole and load.spec.keyed):
        return f"superseded: {load.name} read the whole source again"
    return ""


def _source_after(source: AsideSource, load: Published) -> AsideSource:
    unit = load.units.get(source.position)
    if source.superseded or source.passes or unit is None or unit.version == source.version:
        return source
    return replace(source, superseded=f"superseded: {load.name} has a later {source.position}")


def _windows_after(
    entry: QuarantineEntry, load: Published
) -> tuple[tuple[str | None, str | None], ...]:
    """The windows that were read again: of an append its rows, of a merge what was deleted."""
    window, known = load.window, entry.read_again
    if window is None:
        return known
    forgets = load.spec.deleted_when is not None and window.lower is not None and not window.open
    if load.spec.keyed and not forgets:
        return known
    if window.open:
        return (*known, (window.lower, window.upper))
    # What comes later begins later.
    return known if any(end is None for _, end in known) else (*known, (window.lower, None))
