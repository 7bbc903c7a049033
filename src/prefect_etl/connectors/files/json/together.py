"""Reads many lines at once, where all of them are records that need no care."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from prefect_etl.connectors.files.json.quick import Trust, trust

# Between two lines, so that none can close what another opened: no file knows it.
_MARK = uuid4().hex
_BETWEEN = f',"{_MARK}",'.encode()
_KEYS = re.compile(rb'"[ \t\r\n]*:')
# Signs that may look like the end of a key once they are no longer written so.
_ESCAPED = (b"\\u002", b"\\u003", b"\\u000")


def records_together(lines: bytes) -> tuple[list[dict[str, Any]], Trust] | None:
    r"""The records of some lines; None where one of them has to be looked at.

    Example:
        >>> records_together(b'{"a": 1}\n{"a": 2}\n')[0]
        [{'a': 1}, {'a': 2}]
        >>> records_together(b'{"a": 1, "a": 2}\n')
    """
    import orjson

    trusted = trust([lines], lines=True)
    if trusted is Trust.NONE:
        return None
    text = lines.strip(b"\n")
    between = text.count(b"\n")
    try:
        values = orjson.loads(b"[" + text.replace(b"\n", _BETWEEN) + b"]")
    except orjson.JSONDecodeError:
        return None
    marks = values[1::2]
    if len(values) != 2 * between + 1 or marks.count(_MARK) != between:
        return None
    found = values[::2]
    return (found, trusted) if without_care(found, text) else None


def without_care(values: list[Any], text: bytes) -> bool:
    """Whether the values of a text are records, with keys that come once and have a name."""
    import orjson

    if set(map(type, values)) != {dict} or any(sign in text for sign in _ESCAPED):
        return False
    # Keys that came twice come once now.
    again = orjson.dumps(values)
    return len(_KEYS.findall(text)) == len(_KEYS.findall(again)) and b'"":' not in again
