"""Rows that broke their contract: one Parquet file a load, beside the raw zone.

Each row keeps the source's columns as they were, and where it came from; see
:mod:`prefect_etl.pipeline.rejected`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.sql import literal
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.storage.durable import (
    make_folder,
    publish,
    replace_file,
    storage_errors,
    sync_file,
    temporary_for,
)


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
    """

    name: str
    dataset: str
    run_id: str
    version: int
    rows: int
    rules: tuple[RuleCount, ...]
    loaded: bool
    path: str


class Quarantine:
    """The quarantine of a pipeline.

    Args:
        folder: Its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, dataset: str, run_id: str, version: int) -> Path:
        """Where the rows of a load go."""
        name = quote(dataset, safe="").replace(".", "%2E")
        return self.folder / name / f"{version:08d}-{run_id}.parquet"

    def write(self, session: Session, entry: QuarantineEntry, rows: str) -> None:
        """Write the bad rows of a load, durably, before the load is published.

        Args:
            session: The engine.
            entry: What they are.
            rows: SQL: they.
        """
        import duckdb

        path = Path(entry.path)
        temporary = temporary_for(path, entry.run_id)
        with storage_errors("the quarantine"):
            make_folder(path.parent)
            try:
                session.query(
                    f"COPY (SELECT *, {literal(entry.run_id)} AS _run_id FROM ({rows})) "
                    f"TO {literal(temporary)} (FORMAT parquet, COMPRESSION zstd)"
                )
            except duckdb.IOException as error:
                raise storage_error(error, "the quarantine") from error
            sync_file(temporary)
            publish(temporary, path)
            self._describe(entry, entry.run_id)

    def settle(self, dataset: str, load: LoadRecord, run_id: str) -> None:
        """Note of the rows that a load put aside, if it did, that it was published.

        Args:
            dataset: The dataset.
            load: The load.
            run_id: The run that notes it; not the one that loaded, if that died too soon.
        """
        path = self.path(dataset, load.run_id, load.version).with_suffix(".json")
        if path.is_file():
            self._describe(replace(_entry(path), loaded=True), run_id)

    def _describe(self, entry: QuarantineEntry, run_id: str) -> None:
        with storage_errors("the quarantine"):
            replace_file(Path(entry.path).with_suffix(".json"), json.dumps(asdict(entry)), run_id)

    def entries(self, dataset: str | None = None) -> list[QuarantineEntry]:
        """All files of rows, newest load last."""
        found = []
        for path in sorted(self.folder.glob("*/[0-9]*.json")):
            entry = _entry(path)
            if dataset in (None, entry.dataset):
                found.append(entry)
        return found


def _entry(path: Path) -> QuarantineEntry:
    data = json.loads(path.read_text(encoding="utf-8"))
    rules = tuple(RuleCount(**rule) for rule in data.pop("rules"))
    # The file may have been moved with its folder since.
    data["path"] = str(path.with_suffix(".parquet"))
    return QuarantineEntry(**data, rules=rules)
