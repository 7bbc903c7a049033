"""One spelling for each value, whatever system spelled it: so values can be compared."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

_EXACT = Context(prec=1000)
_FRACTION = re.compile(r"(:\d\d)\.(\d*?)0*(?=[^\d]|$)")
_LENGTHS = {"year": 12, "mon": 1, "month": 1}
_PART = re.compile(r"(-?\d+) (year|mon|month|day)s?")
_CLOCK = re.compile(r"(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?")


def spelled(meaning: str, text: str | None, *, single: bool = False) -> str | None:
    """A value's one spelling.

    Args:
        meaning: What it is: ``number``, ``timestamp``, … or ``list:`` with that of its elements.
        text: How a system spells it; lists and trees as JSON, bytes as hexadecimal digits.
        single: Whether it is a number of single precision there.
    """
    if text is None:
        return None
    if meaning.startswith("list:"):
        return json.dumps(_each(meaning.removeprefix("list:"), _parsed(text)))
    if meaning.startswith("float"):
        return _floating(text, single=single)
    return _SPELLINGS[meaning](text)


def _floating(text: str, *, single: bool) -> str:
    value = float(text)
    if single and math.isfinite(value):
        (value,) = struct.unpack("f", struct.pack("f", value))
    return repr(value)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)


def _each(meaning: str, value: Any) -> Any:
    if meaning == "tree":
        return value
    if isinstance(value, list):
        return [_each(meaning, part) for part in value]
    if isinstance(value, bool):
        return value
    if value is None:
        return None
    return _floating(value, single=False) if meaning == "float" else _SPELLINGS[meaning](value)


def _number(text: str) -> str:
    value = Decimal(text).normalize(_EXACT)
    return format(value, "f") if value.is_finite() else str(value).lower()


def _truth(text: str) -> str:
    return {"1": "true", "t": "true", "0": "false", "f": "false"}.get(text, text.lower())


def _moment(text: str) -> str:
    text = text.replace("T", " ").replace("(BC)", "BC")
    text = _FRACTION.sub(lambda found: f"{found[1]}.{found[2]}" if found[2] else found[1], text)
    text = re.sub(r"(\+00(:00)?|Z)(?=$| BC)", "+00", text)
    return text.replace(" BC", "") + " BC" if " BC" in text else text


def _interval(text: str) -> str:
    months = days = microseconds = 0
    for amount, unit in _PART.findall(text):
        if unit == "day":
            days += int(amount)
        else:
            months += int(amount) * _LENGTHS[unit]
    if clock := _CLOCK.search(text):
        sign, hours, minutes, seconds, fraction = clock.groups()
        whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
        microseconds = whole * 1_000_000 + int((fraction or "").ljust(6, "0"))
        microseconds *= -1 if sign else 1
    return f"{months} months {days} days {microseconds} us"


def _tree(text: str) -> str:
    return json.dumps(_parsed(text), sort_keys=True)


def _digits(text: str) -> str:
    return text.replace("\\x", "").lower()


def _as_is(text: str) -> str:
    return text


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "number": _number,
    "bool": _truth,
    "text": _as_is,
    "json": _as_is,
    "tree": _tree,
    "bytes": _digits,
    "uuid": str.lower,
    "date": _moment,
    "time": _moment,
    "timetz": _moment,
    "timestamp": _moment,
    "timestamptz": _moment,
    "interval": _interval,
}
