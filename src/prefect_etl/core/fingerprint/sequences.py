"""Many values in a row: those of one plain type are packed and hashed at once."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

from prefect_etl.core.fingerprint.encoding import (
    Refused,
    framed,
    little_endian,
    name_of,
    node,
    size,
    text,
)

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def sequence(walk: Walk, tag: str, items: Sequence[Any]) -> bytes:
    """The encoding of values in their order.

    Args:
        walk: The way on which they were met.
        tag: What they are together.
        items: The values.

    Raises:
        Refused: One has no exact content; the path names its position.
    """
    kinds = list(map(type, items))
    groups = sorted(set(kinds), key=name_of)
    if len(groups) == 1:
        return node(tag, size(len(items)), _group(walk, groups[0], items, range(len(items))))
    order = _order(kinds, groups)
    parts = []
    for kind in groups:
        places = [place for place, other in enumerate(kinds) if other is kind]
        parts.append(_group(walk, kind, [items[place] for place in places], places))
    return node(tag, size(len(items)), order, *parts)


def objects(walk: Walk, items: Sequence[Any]) -> bytes:
    """The encoding of a column's Python objects.

    Raises:
        Refused: One has no exact content; the path names its row.
    """
    try:
        return sequence(walk, "objects", items)
    except Refused as refused:
        refused.path[0] = f" row {refused.path[0][1:-1]}"
        raise


def _order(kinds: list[type], groups: list[type]) -> bytes:
    number = {kind: place for place, kind in enumerate(groups)}
    return little_endian(array("I", map(number.__getitem__, kinds)))


def _group(walk: Walk, kind: type, items: Sequence[Any], places: Sequence[int]) -> bytes:
    pack = _PACKED.get(kind)
    packed = pack(items) if pack is not None else None
    if packed is not None:
        return packed
    parts = []
    place = 0
    try:
        for place, item in zip(places, items, strict=True):  # noqa: B007 - for the error
            parts.append(walk.encode(item))
    except Refused as refused:
        raise refused.under(f"[{place}]") from None
    return node("any", framed(parts))


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
    return _joined("strs", list(map(text, items)))


def _bytes(items: Sequence[bytes]) -> bytes:
    return _joined("bytes", items)


def _joined(tag: str, items: Sequence[bytes]) -> bytes:
    return node(tag, little_endian(array("Q", map(len, items))), b"".join(items))


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
