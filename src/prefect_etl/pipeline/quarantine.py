"""Rows that were put aside: one Parquet file a load, beside the raw zone, and a note of each.

Each row keeps the source's columns as they were, and where it came from; see
:mod:`prefect_etl.pipeline.rejected`. A file never changes; what becomes of it is in its note: it is
open until its rows were replayed, or a later load has made them stale; see
:mod:`prefect_etl.pipeline.standing`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from prefect_etl.connectors.relational.planning import REMEMBERED
from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.sql import literal
from prefect_etl.engine.duckdb import storage_error
from prefect_etl.storage.durable import (
    make_folder,
    publish,
    replace_file,
    storage_errors,
    sync_file,
    temporary_for,
)

if TYPE_CHECKING:
    import duckdb

DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class AsideSource:
    """Where rows of a file of quarantine are from.

    Attributes:
        position: Of the unit, as in ``_source``.
        version: Of the unit, as it was read.
        rows: How many rows.
        transient: A window or a call, which the ledger does not remember.
        superseded: Why its rows are stale; empty while they are not.
    """

    position: str
    version: str
    rows: int
    transient: bool = False
    superseded: str = ""

    @property
    def passes(self) -> bool:
        """Whether its position says nothing of which rows they are: windows come one by one."""
        return self.transient or self.position == REMEMBERED


@dataclass(frozen=True, slots=True)
class QuarantineEntry:
    """One file of quarantined rows.

    Attributes:
        name: As in ``prefect-etl quarantine show NAME``.
        dataset: The dataset.
        run_id: The run that put them aside.
        version: The ledger version that the load made or would have made.
        rows: How many rows.
        rules: Which rules they broke, with counts; a row may break several.
        loaded: Whether the load was published; where not, its good rows are not in the table
            either.
        path: The Parquet file.
        lineage: The history of the version, once it was made.
        columns: The source's columns: name in the file, name at the source, type.
        sources: Where the rows are from, in their order.
        batches: Ids of the raw batches of the load.
        read_again: Windows of the cursor (first, and the value after the last one, None if it
            has no end) that later loads read again, where that matters.
        replays: The file whose rows the load replayed, if it did.
        closed: Why nothing is to be done any more; empty while it is open.
        closed_ns: Since when, nanoseconds since the epoch.
    """

    name: str
    dataset: str
    run_id: str
    version: int
    rows: int
    rules: tuple[RuleCount, ...]
    loaded: bool
    path: str
    lineage: str | None = None
    columns: tuple[tuple[str, str, str], ...] = ()
    sources: tuple[AsideSource, ...] = ()
    batches: tuple[str, ...] = ()
    read_again: tuple[tuple[str | None, str | None], ...] = ()
    replays: str | None = None
    closed: str = ""
    closed_ns: int = 0

    def close(self, why: str) -> QuarantineEntry:
        """The same, with nothing to be done any more."""
        return replace(self, closed=why, closed_ns=time.time_ns())


class Quarantine:
    """The quarantine of a pipeline.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, dataset: str, run_id: str, version: int) -> Path:
        """Where the rows of a load go."""
        return self._of(dataset) / f"{version:08d}-{run_id}.parquet"

    def _of(self, dataset: str) -> Path:
        return self.folder / quote(dataset, safe="").replace(".", "%2E")

    def write(self, cursor: duckdb.DuckDBPyConnection, entry: QuarantineEntry, rows: str) -> None:
        """Write the bad rows of a load, durably, before the load is published.

        Args:
            cursor: Where the SQL is run.
            entry: What they are.
            rows: SQL: they.
        """
        import duckdb

        path = Path(entry.path)
        temporary = temporary_for(path, entry.run_id)
        with storage_errors("the quarantine"):
            make_folder(path.parent)
            try:
                cursor.execute(
                    f"COPY (SELECT *, {literal(entry.run_id)} AS _run_id FROM ({rows})) "
                    f"TO {literal(temporary)} "
                    "(FORMAT parquet, COMPRESSION zstd, PRESERVE_ORDER true)"
                )
            except duckdb.IOException as error:
                raise storage_error(error, "the quarantine") from error
            sync_file(temporary)
            publish(temporary, path)
            self.note(entry, entry.run_id)

    def note(self, entry: QuarantineEntry, run_id: str) -> None:
        """Write down what is known of a file, durably.

        Args:
            entry: What is known.
            run_id: The run that writes.
        """
        with storage_errors("the quarantine"):
            replace_file(Path(entry.path).with_suffix(".json"), json.dumps(asdict(entry)), run_id)

    def settle(
        self,
        load: LoadRecord,
        dataset: str,
        run_id: str,
        becomes: Callable[[QuarantineEntry], QuarantineEntry],
    ) -> None:
        """Note what a load that was published means for what was put aside.

        Args:
            load: The load.
            dataset: The dataset.
            run_id: The run that notes it; not the one that loaded, if that died too soon.
            becomes: What becomes of an open file of earlier loads.
        """
        own = self.path(dataset, load.run_id, load.version).stem
        for entry in self.entries(dataset):
            if entry.name == own:
                after = replace(entry, loaded=True, lineage=load.lineage)
            else:
                after = entry if entry.closed else becomes(entry)
            if after != entry:
                self.note(after, run_id)

    def entries(self, dataset: str | None = None) -> list[QuarantineEntry]:
        """All files of rows, newest load last."""
        if dataset is None:
            return [_entry(path) for path in sorted(self.folder.glob("*/[0-9]*.json"))]
        found = [_entry(path) for path in sorted(self._of(dataset).glob("[0-9]*.json"))]
        return [entry for entry in found if entry.dataset == dataset]

    def sweep(self, dataset: str, retention_days: float | None) -> None:
        """Remove files that are closed for longer than loaded batches are kept.

        Args:
            dataset: The dataset.
            retention_days: How long they are kept; None for ever.
        """
        if retention_days is None:
            return
        oldest = time.time_ns() - int(retention_days * DAY_NS)
        with storage_errors("the quarantine"):
            for entry in self.entries(dataset):
                if entry.closed and entry.closed_ns < oldest:
                    path = Path(entry.path)
                    path.unlink(missing_ok=True)
                    path.with_suffix(".json").unlink(missing_ok=True)


def _entry(path: Path) -> QuarantineEntry:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    # The file may have been moved with its folder since.
    data["path"] = str(path.with_suffix(".parquet"))
    data["rules"] = tuple(RuleCount(**rule) for rule in data["rules"])
    data["sources"] = tuple(AsideSource(**source) for source in data.get("sources", ()))
    for name in ("columns", "read_again"):
        data[name] = tuple(tuple(part) for part in data.get(name, ()))
    data["batches"] = tuple(data.get("batches", ()))
    return QuarantineEntry(**data)
