"""The folder of a table: versions of it, and the link that says which of them it is.

::

    lake/
      orders -> .versions/orders/7-1f0c        the table, as readers know it
      .versions/orders/
        7-1f0c/                                the version that holds
          month=2026-01/5-93ab-0.parquet       a file of an earlier version, by a hard link
          month=2026-02/7-1f0c-0.parquet       a file that the version's load wrote
          _ledger.json                         all that is remembered of the table
        6-93ab/                                kept for readers that began before
        .new-80d2/  80d2.lock                  a load at work

A version is made complete and durable before it has its name, and never changes then. One rename
of the link publishes rows and ledger together (``rename(2)``: there is no moment without a link).
Names of files are never used for other content, so a reader that lists a folder of one version and
opens the files of the next finds them the same, or not at all.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from errno import EINVAL
from pathlib import Path

from prefect_etl.errors import BusyError, ConfigError, StorageError
from prefect_etl.storage.durable import remove_folder, sync_folder
from prefect_etl.storage.lease import is_alive, remove_dead

LEDGER = "_ledger.json"
_VERSIONS = ".versions"
_NEW, _LINK = ".new-", ".link-"
_POLL_SECONDS = 0.02
# What a file system, a URL or a reader's pattern would understand in its own way.
_UNSAFE = re.compile(r'[\x00-\x1f%=/\\:*?"<>|\[\]{}]|^\.|[. ]$')


def folder_name(name: str) -> str:
    """The name of a folder for a table or schema; different names have different ones.

    Example:
        >>> folder_name("order items"), folder_name("../a"), folder_name("Ærø 100%")
        ('order items', '%2E.%2Fa', 'Ærø 100%25')
    """
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


@dataclass(frozen=True, slots=True)
class TableFolder:
    """Where a table is.

    Attributes:
        link: The table, as readers know it.
        versions: The folder of its versions.
    """

    link: Path
    versions: Path

    @classmethod
    def of(cls, root: Path, schema: str, table: str) -> TableFolder:
        """The folder of a table of a schema; an empty schema is the root itself.

        Raises:
            ConfigError: What should be the schema's folder is a table.
        """
        parent = root / folder_name(schema) if schema else root
        if schema and parent.is_symlink():
            raise ConfigError(
                f"{parent} is a table, and cannot be a schema, too",
                hint="Give this dataset another schema with schema:.",
            )
        name = folder_name(table)
        return cls(parent / name, parent / _VERSIONS / name)

    def current(self) -> Path | None:
        """The folder of the version that holds; None before the first load.

        Raises:
            ConfigError: There is something that no pipeline made.
        """
        try:
            target = self.link.readlink()
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != EINVAL:
                raise
            target = None
        if target is None or (folder := self.link.parent / target).parent != self.versions:
            raise ConfigError(
                f"{self.link} exists already and was not made by a pipeline",
                hint="Give this dataset another table with into: or schema:, or move that one.",
            )
        return folder

    @contextmanager
    def locked(self, wait: float) -> Iterator[None]:
        """Alone in changing which version holds; the lock ends with the process.

        Raises:
            BusyError: Another process has it, and does not go on.
        """
        path = self.versions / "lock"
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        deadline = time.monotonic() + wait
        try:
            while True:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise BusyError(
                            f"{self.link} is held by another process; waited {wait:g} s",
                            hint="A run that publishes holds it for an instant: look for one that "
                            "was stopped.",
                        ) from None
                    time.sleep(_POLL_SECONDS)
                else:
                    break
            yield
        finally:
            os.close(descriptor)

    def building(self, load_id: str) -> Path:
        """Make the folder in which a load builds its version; the load has a lease of that id."""
        folder = self.versions / f"{_NEW}{load_id}"
        folder.mkdir()
        return folder

    def publish(self, building: Path, version: int, load_id: str) -> None:
        """Make a complete, durable folder the version that holds; the lock is held.

        Raises:
            StorageError: The file system has no symbolic links.
        """
        final = self.versions / f"{version}-{load_id}"
        before = self.current()
        building.replace(final)
        sync_folder(self.versions)
        link = self.versions / f"{_LINK}{load_id}"
        try:
            link.symlink_to(os.path.relpath(final, self.link.parent), target_is_directory=True)
        except OSError as error:
            raise _no_links(error, self.versions) from error
        if before is not None:
            os.utime(before)  # from now on it is kept for readers that have begun
        link.replace(self.link)
        sync_folder(self.link.parent)

    def sweep(self, keep: timedelta) -> None:
        """Remove versions that were replaced long ago, and what dead loads left; the lock is held.

        Args:
            keep: How long a replaced version stays.
        """
        current = self.current()
        for path in self.versions.iterdir():
            name = path.name
            if name.startswith((_NEW, _LINK)):
                load_id = name.partition("-")[2]
                if not is_alive(self.versions, load_id):
                    _remove(path)
            elif name.startswith("."):  # begun to be removed
                _remove(path)
            elif path.is_dir() and path != current and _is_over(path, current, keep):
                remove_folder(path)
        remove_dead(self.versions)


def link_file(present: Path, new: Path) -> None:
    """Give a file of a version a place in the next one.

    Raises:
        StorageError: It is gone, or the file system has no hard links.
    """
    try:
        os.link(present, new)
    except FileNotFoundError as error:
        raise StorageError(
            f"{present} is gone: somebody removed it",
            hint="Load the dataset anew with --full-refresh.",
        ) from error
    except OSError as error:
        raise _no_links(error, present.parent) from error


def _is_over(version: Path, current: Path | None, keep: timedelta) -> bool:
    """Whether nobody can be reading a version that does not hold, or no reader ever saw it."""
    if current is None or _number(version) > _number(current):
        return True
    with suppress(FileNotFoundError):
        return time.time() - version.stat().st_mtime > keep.total_seconds()
    return False


def _number(version: Path) -> int:
    return int(version.name.partition("-")[0])


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _no_links(error: OSError, where: Path) -> StorageError:
    return StorageError(
        f"{where}: a file cannot be linked there: {error.strerror or error}",
        hint="A folder of Parquet tables needs a file system with symbolic and hard links.",
    )
