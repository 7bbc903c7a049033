"""Which rows a batch is, as its ``reading`` says and as SQL.

A reading tells the whole plan that its batch belongs to, so that any one of them brings back all:

``of``
    A digest of what is read; a reading of other things is of no use.
``lower``, ``upper``, ``nulls``, ``open``
    The window of the cursor, as :class:`~prefect_etl.core.cursor.Window`; only where there is one.
``whole``
    True where the plan is all that the source has.
``key``, ``bounds``, ``part``
    The column by whose ranges the rows are divided, the values between the ranges, and which range
    this is, from 0; only where they are.
``keys``
    When it was planned, where it is the key of each row and nothing else: never what an earlier run
    read, because what came between would count as missing.
``idle``
    True where the rows were not expected to differ from what was loaded.
``snapshot``
    Names the moment that all parts see, where they would not fit together otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from prefect_etl.core.unit import Batch

Spelled = Callable[[str], str]
Reading = Mapping[str, Any]


def digest_of(*parts: object) -> str:
    """A digest of what is read.

    Example:
        >>> digest_of("orders", None) == digest_of("orders", "id > 7")
        False
    """
    return sha256(repr(parts).encode()).hexdigest()[:16]


def within(reading: Reading, cursor: str, spelled: Spelled) -> str:
    """The condition for a reading's window; empty where it has none.

    Args:
        reading: Of a batch.
        cursor: The cursor's column as SQL; of text, with the collation that compares bytes.
        spelled: Makes SQL of a bound.

    Example:
        >>> within({"lower": "1", "upper": "5"}, "n", str)
        'n >= 1 AND n <= 5'
        >>> within({"lower": None, "upper": "5", "nulls": True}, "n", str)
        '(n <= 5 OR n IS NULL)'
    """
    if "upper" not in reading:
        return ""
    lower, upper = reading.get("lower"), reading["upper"]
    conditions = []
    if lower is not None:
        conditions.append(f"{cursor} >= {spelled(lower)}")
    if upper is not None:
        conditions.append(f"{cursor} {'<' if reading.get('open') else '<='} {spelled(upper)}")
    elif not reading.get("open"):  # there was no value when the window was made
        conditions.append("1 = 0")
    condition = " AND ".join(conditions) or f"{cursor} IS NOT NULL"
    return f"({condition} OR {cursor} IS NULL)" if reading.get("nulls") else condition


def part_bounds(reading: Reading) -> tuple[str | None, str | None]:
    """The range of a reading's part: its first value, and the first one after it.

    Example:
        >>> part_bounds({"key": "id", "bounds": ["10", "20"], "part": 1})
        ('10', '20')
        >>> part_bounds({})
        (None, None)
    """
    bounds, part = reading.get("bounds") or (), reading.get("part", 0)
    return (
        bounds[part - 1] if part > 0 else None,
        bounds[part] if part < len(bounds) else None,
    )


def part(reading: Reading, key: str, spelled: Spelled) -> str:
    """The condition for a reading's part; empty where it is all.

    Args:
        reading: Of a batch.
        key: The column ``reading["key"]`` as SQL.
        spelled: Makes SQL of a bound.

    Example:
        >>> part({"key": "id", "bounds": ["10", "20"], "part": 2}, "id", str)
        'id >= 20'
    """
    first, after = part_bounds(reading)
    conditions = [] if first is None else [f"{key} >= {spelled(first)}"]
    if after is not None:
        conditions.append(f"{key} < {spelled(after)}")
    return " AND ".join(conditions)


def whole(batch: Batch) -> Batch:
    """A batch as a part of no window.

    Example:
        >>> whole(Batch((), {"keys": "2026-01-01"})).reading
        {'whole': True}
    """
    return Batch(batch.units, {"whole": True})
