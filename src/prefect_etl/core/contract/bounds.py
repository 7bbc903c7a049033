"""Bounds of values: numbers, texts, dates, and times that move with the load."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

from prefect_etl.core.cursor import duration
from prefect_etl.core.sql import literal

Moment = datetime
_MOVING = re.compile(r"(now|today)(?:\s*([+-])\s*(\d+\s*\w+))?", re.IGNORECASE)


def is_moving(bound: Any) -> bool:
    """Whether a bound depends on when the load is: ``now - 2 days``.

    Example:
        >>> is_moving("today"), is_moving("now - 2 days"), is_moving("nowhere")
        (True, True, False)
    """
    match = _MOVING.fullmatch(bound.strip()) if isinstance(bound, str) else None
    if match is None:
        return False
    if match[3] is not None:
        try:
            duration(match[3])
        except ValueError:
            return False
    return True


def bound_sql(bound: Any, moment: Moment) -> str:
    """A bound as SQL.

    Args:
        bound: A number, text, date or time; ``today`` and ``now`` with ``+`` or ``-`` a duration.
        moment: What ``now`` is; times without a zone are UTC.

    Example:
        >>> noon = datetime(2026, 1, 31, 12, tzinfo=UTC)
        >>> bound_sql("today - 1 day", noon), bound_sql("now", noon)
        ("DATE '2026-01-30'", "TIMESTAMP '2026-01-31 12:00:00'")
        >>> bound_sql(date(2020, 1, 1), noon), bound_sql(5, noon)
        ("DATE '2020-01-01'", '5')
    """
    if isinstance(bound, str) and is_moving(bound):
        return bound_sql(_moved(bound, moment), moment)
    match bound:
        case datetime():
            naive = bound.astimezone(UTC).replace(tzinfo=None) if bound.tzinfo else bound
            return f"TIMESTAMP {literal(naive.isoformat(sep=' '))}"
        case date():
            return f"DATE {literal(bound.isoformat())}"
        case time():
            return f"TIME {literal(bound.isoformat())}"
        case _:
            return literal(bound)


def _moved(bound: str, moment: Moment) -> date | datetime:
    match = _MOVING.fullmatch(bound.strip())
    if match is None:
        raise ValueError(f"{bound!r} is no moment")
    start = moment.astimezone(UTC).replace(tzinfo=None)
    by = duration(match[3]) if match[3] else duration("0 days")
    moved = start + by if match[2] == "+" else start - by
    return moved.date() if match[1].lower() == "today" else moved
