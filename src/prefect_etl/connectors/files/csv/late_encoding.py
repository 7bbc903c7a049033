"""The encoding of files that begin with ASCII for so long that their first bytes do not tell it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

from prefect_etl.connectors.files.csv.encoding import encoding_of, first_invalid
from prefect_etl.connectors.files.listing import open_plain
from prefect_etl.connectors.files.place import Place
from prefect_etl.core.unit import Unit
from prefect_etl.errors import SourceReadError

# What was looked at already; what is looked at a time, and at most; lines and bytes of a line.
_HEAD, _BLOCK, _MOST, _LINES, _LINE = 1 << 20, 4 << 20, 256 << 20, 2_000, 1_000


def late_encoding(place: Place, units: Sequence[Unit]) -> str | None:
    """The one that all lines beyond ASCII have in common; None where it is UTF-8, or unknown.

    None, too, where there are such lines at the beginning: these were judged.
    """
    if place.dataset.encoding is not None:
        return None
    lines: list[bytes] = []
    for unit in units:
        with open_plain(place.path(unit)) as stream:
            head = stream.read(_HEAD)
            if not head.isascii():
                return None
            lines += _lines(stream, head[-_LINE:])
    if not lines or any(first_invalid(line, whole=True) is None for line in lines):
        return None
    try:
        found = encoding_of(b"\n".join(lines), whole=True, name=units[0].position).name
        for line in lines:
            line.decode(found)
    except (SourceReadError, UnicodeDecodeError):
        return None
    return None if found == "utf-8" or found.startswith(("utf-16", "utf-32")) else found


def _lines(stream: BinaryIO, rest: bytes) -> Iterator[bytes]:
    """Lines of a stream that are not ASCII; the first began with what is given."""
    seen = count = 0
    while seen < _MOST and count < _LINES and (block := stream.read(_BLOCK)):
        seen += len(block)
        if block.isascii() and rest.isascii():
            rest = block[-_LINE:]
            continue
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if not line.isascii() and len(line) <= _LINE:
                count += 1
                yield line
    if not rest.isascii() and len(rest) <= _LINE:
        yield rest
