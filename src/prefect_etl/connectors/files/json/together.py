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
    if trusted is Trust.NONE or any(sign in lines for sign in _ESCAPED):
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
    if set(map(type, found)) != {dict}:
        return None
    # Keys that came twice come once now.
    again = orjson.dumps(found)
    if len(_KEYS.findall(text)) != len(_KEYS.findall(again)) or b'"":' in again:
        return None
    return found, trusted
