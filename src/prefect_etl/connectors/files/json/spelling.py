"""Spells a value so that the engine's reader of JSON takes it for exactly what it is.

Numbers that it would round are spelled as texts, which it converts by their digits; JSON within a
column of JSON or text is a text, too.
"""

from __future__ import annotations

import re
from json.encoder import encode_basestring
from math import isfinite
from typing import Any

from prefect_etl.connectors.files.json.exact import MOST_DEPTH, Fault, assert_text, too_deep
from prefect_etl.connectors.files.json.kinds import Kind, Seen
from prefect_etl.connectors.files.json.moments import is_textual, is_value_of
from prefect_etl.connectors.files.json.numbers import (
    MOST_DIGITS,
    Digits,
    Number,
    digits_of,
    is_64_bits,
    is_double,
    plainly,
)

# For an empty key: the engine has no columns without a name.
EMPTY = "empty"
_SHORT = 15
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")


def as_json(value: Any, depth: int = 1) -> str:
    """The value as JSON text, with numbers as they were written.

    Raises:
        Fault: It is nested too deep, or has text that is none.

    Example:
        >>> as_json({"n": [Number("1.10"), None, True]})
        '{"n":[1.10,null,true]}'
    """
    match value:
        case Number():
            return str(value)
        case str():
            return _text(value)
        case dict() | list() if depth > MOST_DEPTH:
            raise too_deep()
        case dict():
            members = (f"{_text(key)}:{as_json(part, depth + 1)}" for key, part in value.items())
            return f"{{{','.join(members)}}}"
        case list():
            return f"[{','.join([as_json(part, depth + 1) for part in value])}]"
    return "null" if value is None else ("true" if value else "false")


def as_seen(value: Any, seen: Seen, depth: int = 1) -> str:
    """The value as JSON text by which types can be found, taking note of what is in it.

    Raises:
        Fault: It is nested too deep, or has text that is none.
    """
    match value:
        case Number():
            if seen.digits is None:
                seen.digits = Digits()
            seen.digits.add(value)
            if value.whole:
                return str(value) if is_64_bits(value) else "0"
            return str(value) if is_double(value) else "0.5"
        case str():
            return _text(value)
        case dict() | list() if depth > MOST_DEPTH:
            raise too_deep()
        case dict():
            members = []
            for key, part in value.items():
                seen.nameless = seen.nameless or not key
                inner = seen.fields.setdefault(key or EMPTY, Seen())
                members.append(f"{_text(key or EMPTY)}:{as_seen(part, inner, depth + 1)}")
            return f"{{{','.join(members)}}}"
        case list():
            seen.item = seen.item or Seen()
            return f"[{','.join([as_seen(part, seen.item, depth + 1) for part in value])}]"
    return as_json(value)


def as_kind(value: Any, kind: Kind, name: str, depth: int = 1) -> str:
    """The value as JSON text from which the engine reads a type.

    Args:
        value: The value.
        kind: The type.
        name: The column's, for messages.
        depth: How deep it is nested.

    Raises:
        Fault: It is not of that type, is nested too deep, or has text that is none.
    """
    if value is None:
        return "null"
    if isinstance(value, dict | list) and depth > MOST_DEPTH:
        raise too_deep()
    match kind.name:
        case "json":
            return _text(as_json(value, depth))
        case "text":
            if isinstance(value, str):
                return _text(value)
            return _text(as_json(value, depth))
        case "struct":
            return _struct(value, kind, name, depth)
        case "map" if isinstance(value, dict) and kind.item:
            parts = (
                f"{_text(key or EMPTY)}:{as_kind(part, kind.item, name, depth + 1)}"
                for key, part in value.items()
            )
            return f"{{{','.join(parts)}}}"
        case "list" if isinstance(value, list) and kind.item:
            parts = (as_kind(part, kind.item, name, depth + 1) for part in value)
            return f"[{','.join(parts)}]"
        case "integer" | "double" | "other" if not isinstance(value, dict | list):
            return _scalar(value, kind, name)
    raise _mismatch(value, kind, name, depth)


def _struct(value: Any, kind: Kind, name: str, depth: int) -> str:
    if not isinstance(value, dict):
        raise _mismatch(value, kind, name, depth)
    parts = []
    for key, part in value.items():
        inner = kind.fields.get(key or EMPTY)
        if inner is not None:
            said = f"{name}.{key}" if name else key
            parts.append(f"{_text(key or EMPTY)}:{as_kind(part, inner, said, depth + 1)}")
    return f"{{{','.join(parts)}}}"


def _scalar(value: Any, kind: Kind, name: str) -> str:
    textual = kind.name == "other" and is_textual(kind.spelled)
    if textual and not is_value_of(value if isinstance(value, str) else "", kind.spelled):
        raise Fault("json.type", f"{name} is no {kind.spelled}")
    if isinstance(value, Number):
        return _number(value, kind, name)
    if isinstance(value, str):
        if kind.name == "integer" and not _INTEGER.fullmatch(value):
            raise _mismatch(value, kind, name)
        return _text(value)
    return as_json(value)


def _number(value: Number, kind: Kind, name: str) -> str:
    match kind.name:
        case "integer":
            whole = value if value.whole else Number(_as_integer(value))
            fits = len(whole) <= len(str(kind.first)) + 1 and whole != ""
            if not (fits and kind.first <= int(whole) <= kind.last):
                raise _mismatch(value, kind, name)
            return _text(whole)
        case "double" if not isfinite(float(value)):
            raise _mismatch(value, kind, name)
        case "other" if kind.spelled.startswith("DECIMAL"):
            if sum(digits_of(value)) > MOST_DIGITS:
                raise _mismatch(value, kind, name)
            return _text(plainly(value))
        case "other":
            return str(value)
    return str(value) if len(value) <= _SHORT or kind.name == "double" else _text(str(value))


def _as_integer(number: Number) -> str:
    """The digits of a number that is whole, though not written so: 1.0, 2e3; else nothing."""
    if sum(digits_of(number)) > MOST_DIGITS:
        return ""
    whole, _, fraction = plainly(number).partition(".")
    return "" if fraction.strip("0") else whole


def _mismatch(value: Any, kind: Kind, name: str, depth: int = 1) -> Fault:
    as_json(value, depth)  # what is no text, or nested too deep, is that above all
    match value:
        case Number():
            what = "a number that does not fit"
        case str():
            what = "a text"
        case bool():
            what = "true or false"
        case dict():
            what = "an object"
        case _:
            what = "a list"
    return Fault("json.type", f"{name} is {what}, and the column is {kind.spelled}")


def _text(text: str) -> str:
    assert_text(text)
    return encode_basestring(text)
