"""What an archive holds, and reading it: zip by its directory, tar from end to end.

Members are written under names of our own; theirs are only ever shown, and matched with globs.
"""

from __future__ import annotations

import logging
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, BinaryIO, cast

from prefect_etl.connectors.files.archives.limits import Allowance
from prefect_etl.connectors.files.positions import is_archive
from prefect_etl.errors import SourceReadError

logger = logging.getLogger(__name__)
_MOST_MEMBERS = 100_000
_MOST_HEADER = 1 << 20
_ENCRYPTED = 0x1
_DESCRIBING = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
_HINT = "Mend or remove the file, then run again; nothing of it was loaded."


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive: its name, cleaned, and its size as the archive declares it."""

    name: str
    size: int


Wanted = Callable[[str], bool]
Taking = Iterator[tuple[Member, BinaryIO]]


def wanted_by(glob: str | None, known: Callable[[str], bool]) -> Wanted:
    """Which members are read: those that a glob names, or else of a known format.

    Example:
        >>> wanted_by("in/*.csv", bool)("in/a.csv"), wanted_by(None, bool)("__MACOSX/._a.csv")
        (True, False)
    """

    def wanted(name: str) -> bool:
        if glob is not None:
            return fnmatchcase(name, glob)
        parts = [part for part in name.split("/") if part != ".."]
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        return not hidden and known(name)

    return wanted


def cleaned(name: str) -> str:
    r"""A member's name with single slashes between its parts, and none before.

    Example:
        >>> cleaned("/in//./a.csv"), cleaned("..\\..\\a.csv")
        ('in/a.csv', '../../a.csv')
    """
    parts = name.replace("\\", "/").split("/")
    return "/".join(part for part in parts if part not in ("", "."))


@contextmanager
def opened(path: Path, name: str, wanted: Wanted, allowance: Allowance) -> Iterator[Taking]:
    """The members of an archive that are wanted, each to be read before the next one is asked for.

    Args:
        path: The archive.
        name: What people call it.
        wanted: Which members.
        allowance: For all that comes out of it.

    Raises:
        SourceReadError: It is damaged, encrypted or a trap; or two members have one name.
    """
    import lzma
    import zlib

    damaged = (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OverflowError,
    )
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                yield _of_zip(archive, path, name, wanted)
        else:
            with _plain_tar(path, allowance) as plain:
                tar = tarfile.open(fileobj=plain, mode="r|", tarinfo=_Header)  # noqa: SIM115
                with tar:
                    yield _of_tar(tar, name, wanted)
    except SourceReadError:
        raise
    except (*damaged, OSError) as error:  # what these modules raise for damaged archives
        raise SourceReadError(f"{name} cannot be unpacked: {error}", hint=_HINT) from error


def _of_zip(archive: zipfile.ZipFile, path: Path, name: str, wanted: Wanted) -> Taking:
    entries = archive.infolist()
    _assert_few(len(entries), name)
    _assert_apart(entries, path.stat().st_size, name)
    seen: set[str] = set()
    for entry in entries:
        member = cleaned(entry.filename)
        link = stat.S_ISLNK(entry.external_attr >> 16)
        if entry.is_dir() or not _taken(name, member, wanted, seen, regular=not link):
            continue
        if entry.flag_bits & _ENCRYPTED:
            raise SourceReadError(
                f"{name}: {member} is encrypted",
                hint="Unpack it with its password first, or leave it out with member:.",
            )
        with archive.open(entry) as stream:
            yield Member(member, entry.file_size), cast("BinaryIO", stream)


def _assert_apart(entries: list[zipfile.ZipInfo], size: int, name: str) -> None:
    """Refuse members that share bytes: so few bytes become petabytes (Fifield, WOOT 2019)."""
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if entry.header_offset < end or entry.header_offset + entry.compress_size > size:
            raise SourceReadError(f"{name} cannot be unpacked: its members overlap", hint=_HINT)
        end = entry.header_offset + entry.compress_size


def _of_tar(tar: tarfile.TarFile, name: str, wanted: Wanted) -> Taking:
    seen: set[str] = set()
    for count, entry in enumerate(tar, 1):
        _assert_few(count, name)
        member = cleaned(entry.name)
        regular = entry.isreg() and not entry.issparse()
        if entry.isdir() or not _taken(name, member, wanted, seen, regular=regular):
            continue
        stream = tar.extractfile(entry)
        if stream is not None:
            yield Member(member, entry.size), cast("BinaryIO", stream)


def _assert_few(count: int, name: str) -> None:
    if count > _MOST_MEMBERS:
        raise SourceReadError(f"{name} has more than {_MOST_MEMBERS} members", hint=_HINT)


def _taken(name: str, member: str, wanted: Wanted, seen: set[str], *, regular: bool) -> bool:
    """Whether a member is read.

    Raises:
        SourceReadError: Its name cannot be told, or another one has it.
    """
    if is_archive(member):
        logger.warning("%s: %s is an archive itself, and is not opened", name, member)
        return False
    if not member or not wanted(member):
        return False
    if not regular:
        logger.warning("%s: %s is no ordinary file, and is not read", name, member)
        return False
    if "\0" in member or not member.isprintable():
        raise SourceReadError(f"{name}: a member's name is no text: {member!r}", hint=_HINT)
    if member in seen:
        raise SourceReadError(f"{name}: two members are called {member}", hint=_HINT)
    seen.add(member)
    return True


class _Header(tarfile.TarInfo):
    """A header of tar; those that only describe the next one are read whole, so they are small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        """Read a header; where the file is over, its end is missing, which Python's would allow."""
        if not buf:
            raise tarfile.ReadError("it has no end")
        return super().frombuf(buf, encoding, errors)

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        if self.type in _DESCRIBING and self.size > _MOST_HEADER:
            raise tarfile.ReadError("a header is larger than any name could be")
        found: tarfile.TarInfo | None = super()._proc_member(tar)  # type: ignore[misc]
        return found


@contextmanager
def _plain_tar(path: Path, allowance: Allowance) -> Iterator[IO[bytes]]:
    from prefect_etl.connectors.files.archives.packed import open_packed

    with open_packed(path) as stream:
        yield cast("IO[bytes]", _Counted(stream, allowance))


class _Counted:
    """A stream that counts against an allowance."""

    def __init__(self, stream: BinaryIO, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._allowance.take(len(found))
        return found
