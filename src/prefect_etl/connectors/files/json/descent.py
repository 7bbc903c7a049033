"""Where the records are in a document, and what goes with each from the record that they are in.

A child table has the keys of the parent under ``parent_<key>``, and ``_index``, the place of the
item in its list, from 1: together they tell two items apart. Both are there only with ``parent:``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from prefect_etl.connectors.files.json.exact import Fault
from prefect_etl.connectors.files.json.numbers import Number

INDEX = "_index"
PREFIX = "parent_"


def descend(value: Any, path: Sequence[str], parent: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records that a value holds.

    Args:
        value: What stands where a record is expected.
        path: The keys that lead to the records; none where the value is one.
        parent: Keys of the value that go with each of them.

    Raises:
        Fault: What is found is no record.

    Example:
        >>> order = {"id": 7, "items": [{"n": 1}, {"n": 2}]}
        >>> list(descend(order, ["items"], ["id"]))[1]
        {'n': 2, 'parent_id': 7, '_index': '2'}
    """
    if not path:
        yield _record(value)
        return
    outer = _record(value)
    missing = [key for key in parent if key not in outer]
    if missing:
        raise Fault("json.parent", f"it has no key {missing[0]} to go with its {path[-1]}")
    known = {f"{PREFIX}{key}": outer[key] for key in parent}
    for index, found in enumerate(_items(outer, path, ".".join(path)), 1):
        record = _record(found)
        if not parent:
            yield record
            continue
        taken = [name for name in (*known, INDEX) if name in record]
        if taken:
            raise Fault("json.parent", f"one of its {path[-1]} has a key {taken[0]} of its own")
        yield {**record, **known, INDEX: Number(index)}


def _items(value: Any, path: Sequence[str], said: str) -> Iterator[Any]:
    """What the path leads to; lists on the way are gone through."""
    if isinstance(value, list):
        for part in value:
            yield from _items(part, path, said)
    elif value is None:
        return
    elif not path:
        yield value
    elif isinstance(value, dict):
        yield from _items(value.get(path[0]), path[1:], said)
    else:
        raise Fault("json.records", f"there is {_named(value)} on the way to {said}")


def _record(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise Fault("json.record", f"it is {_named(value)}, not an object")


def _named(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case list():
            return "a list"
        case dict():
            return "an object"
    return "a number" if isinstance(value, Number) else "a text"
