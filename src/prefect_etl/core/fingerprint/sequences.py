"""Many values in a row: those of one plain type are packed and hashed at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from prefect_etl.core.fingerprint.encoding import (
    WINDOW,
    Refused,
    little_endian,
    name_of,
    node,
    size,
    text,
)

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_FEW = 8  # to pack so few does not pay


def sequence(walk: Walk, tag: str, items: Any) -> bytes:
    """The encoding of values in their order.

    Args:
        walk: The way on which they were met.
        tag: What they are together.
        items: The values; what can be sliced.

    Raises:
        Refused: One has no exact content; the path names its position.
    """
    return node(tag, size(len(items)), *_blocks(walk, items, "[{}]"))


def objects(walk: Walk, items: Any) -> bytes:
    """The encoding of a column's Python objects.

    Raises:
        Refused: One has no exact content; the path names its row.
    """
    return node("objects", size(len(items)), *_blocks(walk, items, " row {}"))


def _blocks(walk: Walk, items: Any, place: str) -> Iterator[bytes]:
    for start in range(0, len(items), WINDOW):
        try:
            yield _block(walk, list(items[start : start + WINDOW]))
        except _RefusedAt as refused:
            raise refused.reason.under(place.format(start + refused.position)) from None


class _RefusedAt(Exception):
    def __init__(self, position: int, reason: Refused) -> None:
        super().__init__(position)
        self.position = position
        self.reason = reason


def _block(walk: Walk, items: list[Any]) -> bytes:
    if len(items) <= _FEW:
        return _each(walk, items, range(len(items)))
    kinds = list(map(type, items))
    groups = sorted(set(kinds), key=name_of)
    if len(groups) == 1:
        return _group(walk, groups[0], items, range(len(items)))
    parts = []
    for kind in groups:
        places = [place for place, other in enumerate(kinds) if other is kind]
        parts.append(_group(walk, kind, [items[place] for place in places], places))
    return node("mixed", _order(kinds, groups), *parts)


def _order(kinds: list[type], groups: list[type]) -> bytes:
    number = {kind: place for place, kind in enumerate(groups)}
    return little_endian(array("I", map(number.__getitem__, kinds)))


def _group(walk: Walk, kind: type, items: list[Any], places: Sequence[int]) -> bytes:
    pack = _PACKED.get(kind)
    packed = pack(items) if pack is not None else None
    return packed if packed is not None else _each(walk, items, places)


def _each(walk: Walk, items: list[Any], places: Sequence[int]) -> bytes:
    parts: list[bytes] = []
    try:
        parts.extend(map(walk.encode, items))
    except Refused as refused:
        raise _RefusedAt(places[len(parts)], refused) from None
    return node("any", *parts)


def _integers(items: Sequence[int]) -> bytes | None:
    try:
        return node("ints", little_endian(array("q", items)))
    except OverflowError:
        return None


def _floats(items: Sequence[float]) -> bytes | None:
    numbers = array("d", items)
    if any(number != number for number in numbers):  # noqa: PLR0124
        return None
    return node("floats", little_endian(numbers))


def _booleans(items: Sequence[bool]) -> bytes:
    return node("bools", bytes(items))


def _texts(items: Sequence[str]) -> bytes:
    return node("strs", _lengths(items), text("".join(items)))


def _bytes(items: Sequence[bytes]) -> bytes:
    return node("bytes", _lengths(items), b"".join(items))


def _lengths(items: Sequence[str | bytes]) -> bytes:
    return little_endian(array("Q", map(len, items)))


def _nones(items: Sequence[None]) -> bytes:
    return node("nones", size(len(items)))


_PACKED: dict[type, Callable[[Any], bytes | None]] = {
    int: _integers,
    float: _floats,
    bool: _booleans,
    str: _texts,
    bytes: _bytes,
    NoneType: _nones,
}
