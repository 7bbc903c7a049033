"""Rows that broke their contract: one Parquet file a load, beside the raw zone.

Each row keeps the source's columns as they were, and where it came from: ``_rules``, ``_reasons``,
``_source`` (the unit's position), ``_row`` (its place there, from 1) and ``_run_id``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from urllib.parse import quote

from prefect_etl.core.manifest import LoadRecord
from prefect_etl.core.report import RuleCount
from prefect_etl.core.rows import ROW_NUMBER, UNIT_ID
from prefect_etl.core.sql import literal
from prefect_etl.engine.duckdb import Session, storage_error
from prefect_etl.pipeline.check import Checked
from prefect_etl.pipeline.prepare import Prepared
from prefect_etl.storage.durable import (
    make_folder,
    publish,
    replace_file,
    storage_errors,
    sync_file,
    temporary_for,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the rows of a unit are: ``first_row`` less at the source than in the raw file."""

    unit_id: int
    position: str
    first_row: int


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

    def write(
        self,
        session: Session,
        entry: QuarantineEntry,
        prepared: Prepared,
        checked: Checked,
        origins: Sequence[Origin],
    ) -> None:
        """Write the bad rows of a load, durably, before the load is published."""
        import duckdb

        path = Path(entry.path)
        temporary = temporary_for(path, entry.run_id)
        origins = [o for o in origins if checked.counts[o.unit_id].quarantined]
        with storage_errors("the quarantine"):
            make_folder(path.parent)
            try:
                session.query(
                    f"COPY ({_rows(prepared, checked, origins, entry.run_id)}) "
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


def _rows(prepared: Prepared, checked: Checked, origins: Sequence[Origin], run_id: str) -> str:
    named = ", ".join(f"({o.unit_id}, {literal(o.position)}, {o.first_row})" for o in origins)
    return (
        f"SELECT r.* EXCLUDE ({UNIT_ID}, {ROW_NUMBER}), b.rules AS _rules, b.reasons AS _reasons, "
        f"o.position AS _source, b.{ROW_NUMBER} - o.first_row AS _row, "
        f"{literal(run_id)} AS _run_id "
        f"FROM ({checked.bad}) b JOIN ({prepared.source}) r USING ({UNIT_ID}, {ROW_NUMBER}) "
        f"JOIN (VALUES {named}) o(unit_id, position, first_row) ON o.unit_id = b.{UNIT_ID} "
        f"ORDER BY b.{UNIT_ID}, b.{ROW_NUMBER}"
    )
