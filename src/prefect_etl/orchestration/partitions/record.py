"""The durable record of a map: which partitions are done, and their values.

A folder a record holds a pair of files for each identity (task, arguments, data, cut):

- ``ID.jsonl``: a header, then a line for each partition that completed. A last line that is torn,
  and whatever follows a damaged line, is not there.
- ``ID.values``: what is not JSON, frames for example, by offset and length; checked when read.

Each line is written when its partition is done, so a killed process loses none; both files are made
durable twice a second, so a power cut loses no more than that. Values are kept by their exact type
and nothing is pickled; a value without an exact form is not kept, and its partition runs again.
"""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from prefect_etl.errors import BusyError, EtlError
from prefect_etl.orchestration.partitions.results import PartitionResult
from prefect_etl.storage.durable import make_folder, storage_errors, sync_folder

logger = logging.getLogger(__name__)
FORMAT = 1
SYNC_SECONDS = 0.5
_KEPT_SECONDS = 30 * 86_400


class Record:
    """Open for one call of ``map_partitions``; no other call can have it open.

    Args:
        folder: Of the record.
        identity: What task, arguments, data and cut are.
        limit: Keep no more than so many bytes of values that are not JSON; all of them if None.

    Raises:
        BusyError: Another call has it open.
        StorageError: The folder cannot be written.
    """

    def __init__(self, folder: Path, identity: str, limit: int | None = None) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._synced = time.monotonic()
        self._refused: set[str] = set()
        self._closed = False
        with storage_errors("the record of the partitions"):
            make_folder(folder)
            _remove_old(folder, keep=identity)
            self._lines = _opened(folder / f"{identity}.jsonl")
            try:
                self._values = _opened(folder / f"{identity}.values")
                self._done = self._recovered(identity)
                sync_folder(folder)
            except BaseException:  # also Ctrl-C: the lock must not outlive the attempt
                self._lines.close()
                raise

    def __len__(self) -> int:
        return len(self._done)

    def find(self, key: str, index: int, partition: Any) -> PartitionResult[Any] | None:
        """The result of a partition that completed in an earlier call; None if there is none."""
        line = self._done.get(key)
        if line is None:
            return None
        entry = json.loads(line)
        try:
            value = self._decoded(entry)
        except (EtlError, LookupError, ValueError, TypeError, OSError) as error:
            # Damaged, or its class is gone.
            logger.warning("the recorded value of partition %s is not used: %s", index, error)
            return None
        return PartitionResult(
            index, partition, "completed", value, None, entry["attempts"], entry["seconds"], True
        )

    def add(self, key: str, result: PartitionResult[Any]) -> None:
        """Keep a partition's value, if it completed and the value has an exact form.

        Raises:
            StorageError: The disk is full, or fails.
        """
        if not result.ok:
            return
        encoded = self._encoded(result.value)
        if encoded is None:
            return
        tree, sections = encoded
        entry = {"key": key, "attempts": result.attempts, "seconds": round(result.duration, 6)}
        with self._lock, storage_errors("the record of the partitions"):
            if self._closed or self._is_full(sections):
                return
            if sections:
                entry["at"] = [self._values.tell(), len(sections)]
                self._values.write(sections)
                self._values.flush()
            else:
                entry["value"] = tree
            self._lines.write(_line(entry))
            self._lines.flush()
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self._sync()

    def close(self) -> None:
        """Make all durable and let others have it."""
        with self._lock, storage_errors("the record of the partitions"):
            if self._closed:
                return
            self._closed = True
            try:
                self._sync()
            finally:
                self._values.close()
                self._lines.close()
        if self._refused:
            logger.warning(
                "values of %s have no exact form, so they are not in the record: their partitions "
                "run again in the next call",
                ", ".join(sorted(self._refused)),
            )

    def _is_full(self, sections: bytes) -> bool:
        if self._limit is None or not sections:
            return False
        return self._values.tell() + len(sections) > self._limit

    def _sync(self) -> None:
        # Values first: a line that is there has its value.
        os.fsync(self._values.fileno())
        os.fsync(self._lines.fileno())
        self._synced = time.monotonic()

    def _recovered(self, identity: str) -> dict[str, bytes]:
        """The entries of earlier calls; what follows a torn line is cut off."""
        header = {"format": FORMAT, "identity": identity}
        lines = _whole_lines(self._lines)
        if next(lines, (b"", None))[1] != header:
            self._lines.truncate(0)
            self._values.truncate(0)
            self._values.seek(0)
            self._lines.write(_line(header))
            self._lines.flush()
            return {}
        found, end = {}, len(_line(header))
        size = self._values.seek(0, io.SEEK_END)
        for line, entry in lines:
            if "key" not in entry or ("at" in entry and sum(entry["at"]) > size):
                break
            found[entry["key"]] = line
            end += len(line)
        self._lines.truncate(end)
        self._lines.seek(0, io.SEEK_END)
        return found

    def _encoded(self, value: Any) -> tuple[Any, bytes] | None:
        from prefect_etl.orchestration.caching.container import Sections
        from prefect_etl.orchestration.caching.exact import Encoder, NoExactFormError

        stream = io.BytesIO()
        sections = Sections(stream)
        bare = stream.tell()
        try:
            tree = Encoder(sections).encode(value)
        except (NoExactFormError, RecursionError):
            self._refused.add(type(value).__name__)
            return None
        if stream.tell() == bare:
            return tree, b""
        sections.finish({}, tree)
        return None, stream.getvalue()

    def _decoded(self, entry: dict[str, Any]) -> Any:
        from prefect_etl.orchestration.caching.container import MemoryContent
        from prefect_etl.orchestration.caching.exact import Decoder

        if "at" not in entry:
            return Decoder(MemoryContent(b"")).decode(entry["value"])
        offset, length = entry["at"]
        content = MemoryContent(os.pread(self._values.fileno(), length, offset))
        return Decoder(content).decode(content.footer.tree)


def _opened(path: Path) -> BinaryIO:
    file = path.open("a+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BusyError(
            f"the record {path.parent.name!r} is in use by another call of map_partitions",
            hint="Wait until that is over, or give each its own record= name.",
        ) from None
    return file


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, Any]]:
    """Each line and what it says, until one that is torn or damaged."""
    file.seek(0)
    for line in file:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if not line.endswith(b"\n") or not isinstance(entry, dict):
            return
        yield line, entry


def remove_old_records(folder: Path) -> None:
    """Remove the records in a folder that no call has touched for a month."""
    limit = time.time() - _KEPT_SECONDS
    for record in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # another process removes them, too
            if record.stat().st_mtime <= limit:
                shutil.rmtree(record, ignore_errors=True)


def _remove_old(folder: Path, keep: str) -> None:
    """Remove what no call has touched for a month."""
    limit = time.time() - _KEPT_SECONDS
    for path in folder.glob("*.jsonl"):
        if path.stem == keep:
            continue
        with suppress(FileNotFoundError):  # another process removes them, too
            if path.stat().st_mtime <= limit:
                _remove_unused(path)


def _remove_unused(path: Path) -> None:
    with path.open("rb") as file, _free(file) as free:
        if free:
            path.with_suffix(".values").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


@contextmanager
def _free(file: Any) -> Iterator[bool]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
