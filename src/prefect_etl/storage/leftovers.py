"""Removes what runs that are dead left behind: temporary files, unfinished batches, spill, leases.

Each of them has the id of its run in its name, and a run holds its lease for as long as it lives.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from prefect_etl.storage.durable import TEMPORARY, run_of_temporary, storage_errors
from prefect_etl.storage.lease import is_alive, remove_dead
from prefect_etl.storage.raw_zone import GONE, NEW, run_of_batch

# Where a pipeline's folder has files that are replaced, and folders of batches.
_REPLACED = ("*", "*/*", "raw/*/loads")
_BATCHES = "raw/*/batches"


def remove_leftovers(folder: Path, leases: Path) -> None:
    """Remove what dead runs left in a pipeline's folder.

    Args:
        folder: The pipeline's folder.
        leases: The leases of its runs.

    Raises:
        StorageError: The disk refused.
    """
    with storage_errors("what an earlier run left"):
        for path, run_id in _unfinished(folder):
            if run_id is None or not is_alive(leases, run_id):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        remove_dead(leases)


def _unfinished(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Paths that are complete never; with the run that may still be at work on them."""
    for place in _REPLACED:
        for path in folder.glob(f"{place}/.*{TEMPORARY}"):
            yield path, run_of_temporary(path)
    for path in folder.glob(f"{_BATCHES}/{NEW}*"):
        yield path, run_of_batch(path.name.removeprefix(NEW))
    for path in folder.glob(f"{_BATCHES}/{GONE}*"):
        yield path, None
    for path in folder.glob("spill/*"):
        yield path, path.name
