"""How long an error asks to wait before the next attempt.

HTTP's ``Retry-After`` is a number of seconds or a date (RFC 9110, 10.2.3).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

# Nobody waits longer than this because a server says so.
MOST_SECONDS = 3600.0


def asked_wait(error: BaseException, now: datetime | None = None) -> float | None:
    """Seconds that an error, or what it was raised from, asks to wait; None if it does not.

    It may have an attribute ``retry_after`` (seconds, a ``timedelta``, an aware ``datetime``, or a
    text as in HTTP), or ``response.headers`` as the errors of httpx and requests have. At most an
    hour.

    Args:
        error: What was raised.
        now: The present; the clock's if None.

    Example:
        >>> error = ConnectionError("slow down")
        >>> error.retry_after = "120"
        >>> asked_wait(error)
        120.0
    """
    present = now or datetime.now(UTC)
    for one in _with_causes(error):
        seconds = _seconds(_said(one), present)
        if seconds is not None:
            return min(max(seconds, 0.0), MOST_SECONDS)
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__


def _said(error: BaseException) -> Any:
    said = getattr(error, "retry_after", None)
    if said is not None:
        return said
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    if not hasattr(headers, "get"):
        return None
    return headers.get("Retry-After") or headers.get("retry-after")


def _seconds(said: Any, now: datetime) -> float | None:
    match said:
        case bool():
            return None
        case int() | float():
            return float(said) if isfinite(said) else None
        case timedelta():
            return said.total_seconds()
        case datetime() if said.tzinfo is not None:
            return (said - now).total_seconds()
        case str():
            return _from_text(said.strip(), now)
        case _:
            return None


def _from_text(text: str, now: datetime) -> float | None:
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:  # "-0000": UTC of unknown origin
        date = date.replace(tzinfo=UTC)
    return (date - now).total_seconds()
