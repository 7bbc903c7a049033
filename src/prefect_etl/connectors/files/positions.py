"""Positions of units: the path of a file, of a member of an archive, of a part of either.

``a.csv``, ``a.zip//inner/b.csv``, ``a.parquet//2``. No listed path has ``//`` in it, and the names
of members are changed so that they have none.
"""

from __future__ import annotations

from pathlib import PurePosixPath

_BETWEEN = "//"
_ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".txz")
_PACKED_TAR = (".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def is_archive(name: str) -> bool:
    """Whether a file's name says that it holds other files.

    Example:
        >>> is_archive("a.zip"), is_archive("a.tar.gz"), is_archive("a.csv.gz")
        (True, True, False)
    """
    return PurePosixPath(name.lower()).name.endswith((*_ARCHIVES, *_PACKED_TAR))


def part_position(content: str, number: int) -> str:
    """The position of a part of a file, from 1.

    Example:
        >>> part_position("a.parquet", 1), part_position("a.parquet", 2)
        ('a.parquet', 'a.parquet//2')
    """
    return content if number == 1 else f"{content}{_BETWEEN}{number}"


def member_position(archive: str, member: str) -> str:
    """The position of a member of an archive.

    Example:
        >>> member_position("a.zip", "inner/b.csv")
        'a.zip//inner/b.csv'
    """
    return f"{archive}{_BETWEEN}{member}"


def file_of(position: str) -> str:
    """The path of the file on disk.

    Example:
        >>> file_of("a.parquet//2"), file_of("a.parquet"), file_of("a.zip//b.csv")
        ('a.parquet', 'a.parquet', 'a.zip')
    """
    return position.partition(_BETWEEN)[0]


def content_of(position: str) -> str:
    """The file, or the member of an archive, that a unit is or is a part of.

    Example:
        >>> content_of("a.parquet//2"), content_of("a.zip//b.csv"), content_of("a.zip//2//3")
        ('a.parquet', 'a.zip//b.csv', 'a.zip//2')
    """
    parts = position.split(_BETWEEN)
    return _BETWEEN.join(parts[: 2 if is_archive(parts[0]) else 1])


def member_of(position: str) -> str | None:
    """The member of an archive that a unit is, or is a part of; None where it is a file itself.

    Example:
        >>> member_of("a.zip//b.csv"), member_of("a.parquet//2")
        ('b.csv', None)
    """
    archive, between, _ = content_of(position).partition(_BETWEEN)
    return content_of(position)[len(archive) + len(between) :] or None
