"""Finds the files that a pattern means, without being led astray by links.

Links that the pattern names are followed, as the author's own. A link that only a wildcard meets is
whoever's may write into the folder: it is followed to what lies within the folder that the pattern
names, and refused where it leads out of it. Below ``**`` each folder is entered once, so a link to
a folder above it does not go round and round.
"""

# Texts, because a Path for each of many thousand files takes a second.
# ruff: noqa: PTH112, PTH113, PTH116, PTH118

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from errno import ELOOP
from fnmatch import fnmatchcase
from glob import has_magic
from itertools import takewhile
from pathlib import Path, PurePath

from prefect_etl.errors import SourceReadError


def find_files(folder: Path, pattern: str) -> list[str]:
    """Paths of the files that a pattern with wildcards means, relative to the folder, sorted.

    Names that begin with a dot are meant only by a pattern that does. A folder that cannot be
    listed raises, where a glob would take it for an empty one and a table would lose its rows.

    Args:
        folder: What the pattern is relative to.
        pattern: ``*``, ``?``, ``[…]`` within names; ``**`` for any number of folders.

    Raises:
        OSError: A folder cannot be listed.
        SourceReadError: A link leads out of the folder that the pattern names.
    """
    parts = PurePath(pattern).parts
    fixed = list(takewhile(lambda part: not has_magic(part), parts))
    start = os.path.join(*fixed) if fixed else ""
    home = os.path.realpath(folder / start)
    found = _found(os.path.join(folder, start), start, parts[len(fixed) :], home)
    return sorted({os.path.normpath(path) for path in found})


def assert_within(path: Path, home: str) -> None:
    """Make sure that a link leads to a place within a folder.

    Raises:
        SourceReadError: It leads out of it.
    """
    if not Path(os.path.realpath(path)).is_relative_to(home):
        raise SourceReadError(
            f"{path} is a link that leads out of {home}",
            hint="Only links that path: itself names are followed out of a folder: name it there, "
            "or put the file itself into the folder.",
        )


def _found(place: str, shown: str, parts: Sequence[str], home: str) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        yield from _found_below(place, shown, rest or ("*",), home)
        return
    if not has_magic(part):
        yield from _entered(os.path.join(place, part), os.path.join(shown, part), rest, home)
        return
    for entry in _listed(place):
        if fnmatchcase(entry.name, part) and _is_meant(entry.name, part):
            if entry.is_symlink() and (not rest or _is_folder(entry)):
                assert_within(Path(entry.path), home)
            yield from _entered(entry.path, os.path.join(shown, entry.name), rest, home)


def _entered(path: str, shown: str, rest: Sequence[str], home: str) -> Iterator[str]:
    if not rest:
        if os.path.isfile(path):
            yield shown
    elif os.path.isdir(path):
        yield from _found(path, shown, rest, home)


def _found_below(place: str, shown: str, rest: Sequence[str], home: str) -> Iterator[str]:
    """Enter each folder once: links last, so that what has a place of its own is found there."""
    entered: set[tuple[int, int]] = set()
    folders, links = [(place, shown)], list[tuple[str, str]]()
    while folders or links:
        place, shown = folders.pop() if folders else links.pop(links.index(min(links)))
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in entered:
            continue
        entered.add((status.st_dev, status.st_ino))
        yield from _found(place, shown, rest, home)
        for entry in _listed(place):
            if entry.name.startswith(".") or not _is_folder(entry):
                continue
            if entry.is_symlink():
                assert_within(Path(entry.path), home)
            known = links if entry.is_symlink() else folders
            known.append((entry.path, os.path.join(shown, entry.name)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno == ELOOP:  # a link to itself
            return False
        raise


def _listed(place: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _is_meant(name: str, part: str) -> bool:
    return not name.startswith(".") or part.startswith(".")
