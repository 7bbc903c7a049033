"""The raw zone: what was read, as Parquet, with a manifest a batch.

::

    <root>/<dataset>/batches/<batch id>/data.parquet     rows in the source's order
                                        rejects.parquet  what could not be read as rows, if any
                                        manifest.json    published with it, by one rename
                     loads/00000001.json                 which batches made a version
    <root>/leases/<run id>.lock                          runs that are alive

A batch id begins with the ledger version that it extends, then names its run. A batch is written
to ``.new-…``, made durable, and renamed; see :mod:`prefect_etl.storage.leftovers` for what still
has such a name when its run is dead.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from urllib.parse import quote, unquote
from uuid import uuid4

from prefect_etl.core.aside import Aside
from prefect_etl.core.manifest import LoadRecord, Manifest
from prefect_etl.core.rows import Rows
from prefect_etl.core.unit import Batch
from prefect_etl.engine.duckdb import Session
from prefect_etl.errors import ReplayGapError, StorageError
from prefect_etl.storage.durable import (
    make_folder,
    publish,
    remove_folder,
    replace_file,
    storage_errors,
    sync_file,
    sync_folder,
    write_file,
)
from prefect_etl.storage.lease import is_alive
from prefect_etl.storage.parquet import write_parquet

_DATA, _REJECTS, _MANIFEST = "data.parquet", "rejects.parquet", "manifest.json"
NEW, GONE = ".new-", ".gone-"


class RawZone:
    """The raw zone of a pipeline.

    Args:
        root: Its folder.
        run_id: The run that writes, whose lease is held.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root = root
        self.run_id = run_id
        # Batches that this process has written and not loaded yet: a load of other units of the
        # same table, as of another window of a backfill, must not sweep them.
        self.pending: set[str] = set()

    @property
    def leases(self) -> Path:
        """The folder of the leases."""
        return self.root / "leases"

    def dataset(self, name: str) -> DatasetZone:
        """The part that belongs to one dataset."""
        return DatasetZone(self, name)

    def datasets(self) -> list[str]:
        """Names of the datasets that have anything here."""
        if not self.root.is_dir():
            return []
        return sorted(unquote(p.name) for p in self.root.iterdir() if (p / "batches").is_dir())


class DatasetZone:
    """The raw zone of one dataset; made by :meth:`RawZone.dataset`."""

    def __init__(self, zone: RawZone, dataset: str) -> None:
        self.dataset = dataset
        self.folder = zone.root / quote(dataset, safe="").replace(".", "%2E")
        self._zone = zone
        self._batches = self.folder / "batches"
        self._loads = self.folder / "loads"

    def data(self, batch_id: str) -> Path:
        """The Parquet file of a batch."""
        return self._batches / batch_id / _DATA

    def rejects(self, manifest: Manifest) -> Path | None:
        """The file of what could not be read of a batch; None where there is nothing."""
        return self._batches / manifest.batch_id / _REJECTS if manifest.rejected else None

    def batch_ids(self) -> list[str]:
        """Ids of all complete batches, oldest version first."""
        if not self._batches.is_dir():
            return []
        return sorted(e.name for e in os.scandir(self._batches) if not e.name.startswith("."))

    def manifest(self, batch_id: str) -> Manifest | None:
        """A batch's manifest, or None where the batch is not here (any more).

        Raises:
            StorageError: It is there and cannot be read.
        """
        path = self._batches / batch_id / _MANIFEST
        try:
            return Manifest.from_json(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StorageError(
                f"{path} is damaged: {error}", hint=f"Remove {path.parent} and run again."
            ) from error

    def candidates(self, version: int, lineage: str | None) -> list[Manifest]:
        """Complete batches that a load onto this ledger version may use.

        They are those that were written to extend it, and those of the last load, whose units a
        replacement needs again.
        """
        prefix = _prefix(version)
        names = [name for name in self.batch_ids() if name.startswith(prefix)]
        for record in self.records():
            if (record.version, record.lineage) == (version, lineage):
                names = [*record.batches, *names]
        found = [self._whole(name) for name in names]
        return [m for m in found if m is not None and m.lineage in (None, lineage)]

    def _whole(self, batch_id: str) -> Manifest | None:
        """A batch's manifest, where its data is there in full."""
        manifest = self.manifest(batch_id)
        try:
            size = self.data(batch_id).stat().st_size
        except FileNotFoundError:
            return None
        if manifest is None or manifest.bytes != size:
            return None
        rejects = self.rejects(manifest)
        return manifest if rejects is None or rejects.is_file() else None

    def write(
        self,
        batch: Batch,
        rows: Rows,
        session: Session,
        *,
        extends: int,
        lineage: str | None,
        limit: int | None = None,
    ) -> Manifest:
        """Write a batch, durably and at once; it counts once it is kept.

        Args:
            batch: What it is.
            rows: Its rows.
            session: The engine that writes.
            extends: The ledger version that it is to extend.
            lineage: The history of that version.
            limit: Rows at most, for trials.

        Raises:
            StorageError: The disk refused; what was written is removed.
        """
        started = time.time_ns()
        batch_id = f"{_prefix(extends)}{self._zone.run_id}-{uuid4().hex[:8]}"
        new = self._batches / f"{NEW}{batch_id}"
        with storage_errors(f"the raw zone of {self.dataset}"):
            make_folder(self._batches)
            new.mkdir()
            try:
                written = write_parquet(session, rows, new / _DATA, batch.units, limit)
                aside = rows.aside() if rows.aside else Aside()
                if aside.rejects is not None:
                    copyfile(aside.rejects, new / _REJECTS)
                    sync_file(new / _REJECTS)
                manifest = Manifest(
                    batch_id=batch_id,
                    dataset=self.dataset,
                    extends=extends,
                    lineage=lineage,
                    run_id=self._zone.run_id,
                    units=tuple(
                        replace(entry, rejected=aside.counts.get(index, 0))
                        for index, entry in enumerate(written.units)
                    ),
                    schema=written.schema,
                    bytes=(new / _DATA).stat().st_size,
                    created_ns=started,
                    reading=batch.reading,
                    repairs=tuple(aside.repairs),
                )
                sync_file(new / _DATA)
                write_file(new / _MANIFEST, manifest.to_json())
                sync_folder(new)
            except BaseException:  # also Ctrl-C: nobody would sweep it while this run lives
                remove_folder(new)
                raise
        return manifest

    def keep(self, manifest: Manifest) -> None:
        """Give a written batch its final name: from now on it counts."""
        self._zone.pending.add(manifest.batch_id)
        with storage_errors(f"the raw zone of {self.dataset}"):
            publish(self._batches / f"{NEW}{manifest.batch_id}", self._batches / manifest.batch_id)

    def discard(self, batch_id: str) -> None:
        """Remove a complete batch that no load needs."""
        self._zone.pending.discard(batch_id)
        remove_folder(self._batches / batch_id)

    def drop(self, manifest: Manifest) -> None:
        """Remove a written batch that must not count."""
        remove_folder(self._batches / f"{NEW}{manifest.batch_id}")

    def records(self) -> list[LoadRecord]:
        """Records of loads, oldest first."""
        if not self._loads.is_dir():
            return []
        records = []
        for path in sorted(self._loads.glob("[0-9]*.json")):
            try:
                records.append(LoadRecord.from_json(path.read_text(encoding="utf-8")))
            except (OSError, ValueError, TypeError) as error:
                raise StorageError(f"{path} is damaged: {error}", hint=f"Remove {path}.") from error
        return records

    def batches_of(self, record: LoadRecord) -> list[Manifest]:
        """The batches of a load.

        Raises:
            ReplayGapError: They are not all here any more.
        """
        found = [self._whole(name) for name in record.batches]
        kept = [manifest for manifest in found if manifest is not None]
        if len(kept) < len(found):
            raise ReplayGapError(
                f"dataset {self.dataset}: load {record.version} cannot come again: "
                f"{len(found) - len(kept)} of its {len(found)} batches are gone or damaged",
                hint=f"Load it anew: prefect-etl run --full-refresh --only {self.dataset}",
            )
        return kept

    def has_record(self, version: int, lineage: str | None) -> bool:
        """Whether the load that made this version is recorded."""
        return any((r.version, r.lineage) == (version, lineage) for r in self.records())

    def record(self, load: LoadRecord) -> None:
        """Record a load that was committed."""
        with storage_errors(f"the raw zone of {self.dataset}"):
            path = self._loads / f"{load.version:08d}.json"
            replace_file(path, load.to_json(), self._zone.run_id)
        self._zone.pending.difference_update(load.batches)

    def sweep(self, version: int, lineage: str | None, retention_days: float | None) -> None:
        """Remove what no run will need again.

        That is: batches that lost a race; loads of another lineage; loads older than the retention,
        but never the last one, nor those that the destination has still to be given again.

        Args:
            version: The ledger version now.
            lineage: Its lineage.
            retention_days: How long loaded batches are kept; None for ever.
        """
        if not self._batches.is_dir():
            return
        oldest = 0 if retention_days is None else time.time_ns() - int(retention_days * 86_400e9)
        kept: set[str] = set()
        with storage_errors(f"the raw zone of {self.dataset}"):
            for record in self.records():
                needed = record.version >= version or record.committed_ns >= oldest
                if record.lineage == lineage and needed:
                    kept.update(record.batches)
                else:
                    (self._loads / f"{record.version:08d}.json").unlink(missing_ok=True)
            for name in self._unneeded(kept, version):
                remove_folder(self._batches / name)

    def _unneeded(self, kept: set[str], version: int) -> Iterable[str]:
        mine = self._zone.run_id
        for name in self.batch_ids():
            if name in kept or name in self._zone.pending or name >= _prefix(version):
                continue
            run_id = run_of_batch(name)
            if run_id == mine or not is_alive(self._zone.leases, run_id):
                yield name


def _prefix(version: int) -> str:
    return f"{version:08d}-"


def run_of_batch(batch_id: str) -> str:
    """The run that wrote a batch."""
    return batch_id[9:-9]
