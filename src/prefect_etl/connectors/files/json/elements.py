"""Reads many elements of a list at once, where all of them are records that need no care."""

from __future__ import annotations

from typing import Any

from prefect_etl.connectors.files.json.exact import MOST_DEPTH
from prefect_etl.connectors.files.json.quick import Trust, trust_whole
from prefect_etl.connectors.files.json.together import without_care

_SIGNS = b'"[]{},'
_QUOTE, _COMMA = b'",'


def ends_of(text: str) -> list[int]:
    r"""Where the commas between the elements are, in the text behind a list's bracket.

    That holds as long as the text is JSON, which is for others to find out. There are none where
    elements are nested so deep that each has to be looked at.

    Example:
        >>> ends_of('{"a": [1, 2]}, {"b": ",\\"["}, {"c": 1')
        [13, 28]
        >>> ends_of('{"a": 1}, 2], [3, 4]')
        [8]
    """
    import numpy as np

    plain = text.encode("ascii", "replace").replace(b"\\\\", b"__").replace(b'\\"', b"__")
    wanted = np.zeros(256, bool)
    wanted[list(_SIGNS)] = True
    steps = np.zeros(256, np.int32)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    signs = np.frombuffer(plain, np.uint8)
    places = np.flatnonzero(wanted[signs])
    signs = signs[places]
    outside = np.cumsum(signs == _QUOTE) & 1 == 0
    depth = np.cumsum(steps[signs] * outside)
    over = np.flatnonzero(depth < 0)[:1]
    here = len(depth) if not len(over) else int(over[0])
    if here and int(depth[:here].max()) >= MOST_DEPTH:
        return []
    between = (signs == _COMMA) & outside & (depth == 0)
    return [int(place) for place in places[:here][between[:here]]]


def elements_together(text: bytes) -> tuple[list[dict[str, Any]], Trust] | None:
    """The elements of a list without its brackets; None where one has to be looked at.

    Whatever stands around it, a text that is JSON between brackets is elements of a list: what
    follows cannot change that, if it is a comma.

    Example:
        >>> elements_together(b'{"a": 1}, {"a": 2}')[0]
        [{'a': 1}, {'a': 2}]
        >>> elements_together(b'{"a": 1}, {"a": 2')
    """
    import orjson

    whole = b"[" + text + b"]"
    trusted = trust_whole(whole)
    if trusted is Trust.NONE:
        return None
    try:
        values = orjson.loads(whole)
    except orjson.JSONDecodeError:
        return None
    return (values, trusted) if without_care(values, whole) else None
