"""How parts become one digest, so that no two contents share one encoding.

A value's encoding is its tag, a colon, and either its own bytes or the BLAKE2b digest of its parts.
Every part is written with its length before it, so nothing can move from one part to the next.
Only the bytes of columns go through xxh3_128, which is fast and no shield against forgery; all that
is plain, and every combination, goes through BLAKE2b.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from hashlib import blake2b
from struct import Struct
from typing import Any

from prefect_etl.errors import ConfigError

DIGEST_BYTES = 16
# Rows that are looked at together: what is copied to normalise them stays in the processor's cache.
WINDOW = 1 << 16


class FingerprintError(ConfigError):
    """A value has no exact content, so it has no key; the message names its place."""


class Refused(Exception):
    """A value without an exact form, and on its way up the path to it.

    Args:
        reason: What the value is, to be read behind its path.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []

    def under(self, part: str) -> Refused:
        """The same, seen from one level above."""
        self.path.insert(0, part)
        return self


_size = Struct("<Q").pack


def size(number: int) -> bytes:
    """A length or count, always in eight bytes."""
    return _size(number)


def framed(parts: Iterable[bytes]) -> bytes:
    """Parts that can be told apart again.

    Example:
        >>> framed([b"ab", b"c"]) == framed([b"a", b"bc"])
        False
    """
    found: list[bytes] = []
    for part in parts:
        found += (_size(len(part)), part)
    return b"".join(found)


def node(tag: str, *parts: bytes) -> bytes:
    """The encoding of what consists of parts."""
    name = tag.encode()
    return name + b":" + blake2b(framed((name, *parts)), digest_size=DIGEST_BYTES).digest()


def leaf(tag: str, content: bytes) -> bytes:
    """The encoding of what is bytes itself."""
    return tag.encode() + b":" + content


def text(value: str) -> bytes:
    """Text as bytes, lone surrogates too."""
    return value.encode("utf-8", "surrogatepass")


def name_of(kind: type) -> bytes:
    """A class by the name under which it can be imported."""
    return text(f"{kind.__module__}.{kind.__qualname__}")


def shown(kind: type) -> str:
    """A class as errors call it."""
    name = name_of(kind).decode("utf-8", "replace").removeprefix("builtins.")
    return f"{'an' if name[:1] in 'aeiou' else 'a'} {name}"


def little_endian(numbers: array[Any]) -> bytes:
    """An array's bytes, on every machine in the same order."""
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
