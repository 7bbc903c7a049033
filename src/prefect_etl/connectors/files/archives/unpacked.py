"""Members of archives and compressed files, unpacked where the engine can read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from shutil import rmtree
from tempfile import mkdtemp
from threading import RLock
from typing import BinaryIO

from prefect_etl.connectors.files.archives.limits import WINDOW, Allowance, copied
from prefect_etl.connectors.files.archives.members import Wanted, opened
from prefect_etl.connectors.files.archives.packed import open_packed, packing_of
from prefect_etl.connectors.files.positions import content_of, file_of, member_of, member_position
from prefect_etl.core.aside import Repair
from prefect_etl.engine.duckdb import storage_error
from prefect_etl.errors import SourceReadError

# The engine decompresses these itself, while it reads.
_BY_ENGINE = ("gzip", "zstd")
# Of a damaged file: what a window that cannot be filled would have held is lost.
_SMALL_WINDOW = 512


class DamagedError(SourceReadError):
    """A compressed file is truncated or corrupt."""


class Unpacked:
    """Unpacks what is asked for, once, into a folder that goes when it is closed.

    Safe to use from several threads.

    Args:
        folder: The connection's.
        scratch: Makes the folder in which it unpacks.
        wanted: Which members of archives are read.
        limited: Whether there is a limit to what comes out.
        mended: Whether the whole lines before the damage of a compressed file are read.
    """

    def __init__(
        self,
        folder: Path,
        scratch: Callable[[], Path | None],
        wanted: Wanted,
        *,
        limited: bool,
        mended: bool,
    ) -> None:
        self._root = folder
        self._scratch = scratch
        self._wanted = wanted
        self._limited = limited
        self._mended = mended
        self._repairs: dict[str, Repair] = {}
        self._lock = RLock()
        self._folder: Path | None = None
        self._files: dict[str, Path] = {}

    def members(self, archive: str) -> list[tuple[str, int]]:
        """Positions and sizes of the members of an archive that are read; they are unpacked.

        Raises:
            SourceReadError: It has none, or cannot be unpacked.
        """
        with self._lock:
            found = []
            path = self._root / archive
            allowance = self._allowance(archive)
            with opened(path, archive, self._wanted, allowance) as members:
                for member, stream in members:
                    position = member_position(archive, member.name)
                    target = self._new(member.name)
                    # A tar's bytes are counted where they are decompressed.
                    own = allowance if path.suffix.lower() == ".zip" else self._allowance(archive)
                    size = self._write(stream, target, own)
                    if packing_of(member.name) is not None:
                        target, size = self._plain(target, position)
                    found.append((position, size))
                    self._files[position] = target
        if not found:
            raise SourceReadError(
                f"{archive} holds no file that is to be read",
                hint="Say which with member: a glob over the names in it; a format: too, where "
                "names tell none.",
            )
        return sorted(found)

    def path(self, position: str) -> Path:
        """The file of a unit, as the engine can read it.

        Raises:
            SourceReadError: It cannot be unpacked.
        """
        content = content_of(position)
        with self._lock:
            if content in self._files:
                return self._files[content]
            if member_of(position) is not None:
                self.members(file_of(position))
                return self._member(content)
            if packing_of(content) in (None, *_BY_ENGINE):
                return self._root / content
            self._files[content] = self._unpack(content)
            return self._files[content]

    def _plain(self, packed: Path, position: str) -> tuple[Path, int]:
        """A packed member, decompressed: the engine would take the half of one for the whole."""
        target = self._new(packed.stem)
        allowance = Allowance(position, packed.stat().st_size, limited=self._limited)
        with self._reading(position), open_packed(packed) as stream:
            size = self._write(stream, target, allowance)
        packed.unlink()
        return target, size

    def _member(self, content: str) -> Path:
        try:
            return self._files[content]
        except KeyError:
            raise SourceReadError(
                f"{content} is not in its archive any more", hint="Run again."
            ) from None

    def assert_whole(self, position: str) -> None:
        """Make sure that a compressed file ends where it says, keeps its checksum and is no trap.

        DuckDB reads a truncated gzip or zstd file as if it ended there. Where damage is to be
        mended, the file is from now on what can be read of it.

        Raises:
            SourceReadError: It is truncated or corrupt, or holds too much.
        """
        content = content_of(position)
        path = self.path(position)  # what is unpacked was whole
        if packing_of(path.name) is None:
            return
        try:
            with self._reading(content), open_packed(path) as stream:
                copied(stream, _nowhere, self._allowance(content))
        except DamagedError:
            if not self._mended:
                raise
            with self._lock:
                self._files[content] = self._unpack(content)

    def repair(self, position: str) -> Repair | None:
        """What was mended of a file that is damaged; None where nothing was."""
        return self._repairs.get(content_of(position))

    def _unpack(self, content: str) -> Path:
        """Decompress a file; where damage is mended, the whole lines before it."""
        target = self._new(PurePosixPath(content).stem)
        try:
            self._write_content(content, target)
        except DamagedError:
            if not self._mended:
                raise
            with suppress(DamagedError):
                self._write_content(content, target, _SMALL_WINDOW)
            size = target.stat().st_size
            kept = _cut_at_a_line(target) if size else 0
            if not kept:
                raise
            said = f"its packed data is damaged; {kept:,} bytes of whole lines before were read"
            rest = f", {size - kept:,} bytes of a line without an end were not"
            self._repairs[content] = Repair(
                "packed.damaged", said + (rest if size > kept else ""), 1, content
            )
        return target

    def _write_content(self, content: str, target: Path, window: int = WINDOW) -> None:
        with self._reading(content), open_packed(self._root / content) as stream:
            self._write(stream, target, self._allowance(content), window)

    def close(self) -> None:
        """Remove what was unpacked; safe to call twice."""
        with self._lock:
            self._files.clear()
            if self._folder is not None:
                rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _allowance(self, name: str) -> Allowance:
        return Allowance(name, (self._root / file_of(name)).stat().st_size, limited=self._limited)

    def _new(self, name: str) -> Path:
        """A new path under a number; of the name only the endings that tell formats."""
        if self._folder is None:
            self._folder = Path(mkdtemp(prefix="unpacked-", dir=self._scratch()))
        endings = [part for part in PurePosixPath(name.lower()).suffixes if part[1:].isalnum()]
        number = len(self._files) + sum(1 for _ in self._folder.iterdir())
        return self._folder / f"{number:06d}{''.join(endings[-2:])}"

    def _write(
        self, stream: BinaryIO, target: Path, allowance: Allowance, window: int = WINDOW
    ) -> int:
        with self._writing(target) as file:
            return copied(stream, file.write, allowance, window)

    @contextmanager
    def _writing(self, target: Path) -> Iterator[BinaryIO]:
        try:
            file = target.open("wb")
        except OSError as error:
            raise storage_error(error, str(target.parent)) from error
        with file:
            yield file

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DamagedError(
                f"{name} cannot be read: {error.strerror or error}",
                hint="Mend or remove the file, then run again; nothing of it was loaded. Of text, "
                "bad_rows: repair reads the whole lines before the damage.",
            ) from error


def _nowhere(window: bytes) -> None:
    """Only what comes out is looked at."""


def _cut_at_a_line(path: Path) -> int:
    """Cut a file after its last line end, and say how long it is then."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > 0:
            start = max(0, end - WINDOW)
            file.seek(start)
            at = file.read(end - start).rfind(b"\n")
            if at >= 0:
                file.truncate(start + at + 1)
                return start + at + 1
            end = start
        file.truncate(0)
    return 0
