"""Backfills: the windows of a range of the past, and what became of each."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, Literal, get_args

from prefect_etl.core.cursor import Window, duration
from prefect_etl.errors import ConfigError

WindowStatus = Literal["done", "missing", "failed"]
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_CALENDAR = re.compile(rf"(\d+)\s*({'|'.join(_MONTHS)})s?", re.IGNORECASE)
_MOST = 100_000
# A datetime, a date or an int, and a timedelta, an int or months. Two bounds are of one kind, and
# the step fits them, which `windows` has made sure of.
_Bound = Any
_Step = Any


@dataclass(frozen=True, slots=True)
class _Months:
    count: int


@dataclass(frozen=True, slots=True)
class BackfillWindow:
    """One window of a backfill.

    Attributes:
        window: Its bounds.
        status: ``done`` (the ledger has it), ``failed`` (the last try did) or ``missing``.
        reason: Why it failed.
    """

    window: Window
    status: WindowStatus
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BackfillSpan:
    """Windows that follow each other and have one status, for one reason.

    Attributes:
        window: From the first one's beginning to the last one's end.
        windows: How many there are.
        status: Of each.
        reason: Of each.
    """

    window: Window
    windows: int
    status: WindowStatus
    reason: str


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """The windows of a backfill of one dataset, oldest first."""

    dataset: str
    table: str
    windows: tuple[BackfillWindow, ...]

    @property
    def todo(self) -> tuple[Window, ...]:
        """What a run would load."""
        return tuple(part.window for part in self.windows if part.status != "done")

    @property
    def spans(self) -> tuple[BackfillSpan, ...]:
        """The windows, those that follow each other and fared alike as one.

        Example:
            >>> parts = settled(windows("0", "30", "10"), {}, {"20 to 30": "full"})
            >>> for span in BackfillPlan("orders", "main.orders", parts).spans:
            ...     print(f"{span.window}: {span.windows} {span.status}")
            0 to 20: 2 missing
            20 to 30: 1 failed
        """
        alike = groupby(self.windows, key=lambda part: (part.status, part.reason))
        return tuple(_span([*parts]) for _, parts in alike)

    def count(self, status: WindowStatus) -> int:
        """How many windows have a status."""
        return sum(part.status == status for part in self.windows)

    def as_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "dataset": self.dataset,
            "table": self.table,
            "counts": {status: self.count(status) for status in get_args(WindowStatus)},
            "windows": [
                {
                    "start": part.window.lower,
                    "end": part.window.upper,
                    "status": part.status,
                    "reason": part.reason,
                }
                for part in self.windows
            ],
        }


def _span(parts: Sequence[BackfillWindow]) -> BackfillSpan:
    first, last = parts[0], parts[-1]
    window = Window(first.window.lower, last.window.upper, open=True)
    return BackfillSpan(window, len(parts), first.status, first.reason)


def windows(start: str, end: str, every: str) -> tuple[Window, ...]:
    """Cut a range into windows; the last one may be shorter.

    Args:
        start: The first value: a date, a time, or a whole number.
        end: The value after the last one.
        every: The length of a window: ``1 day``, ``6 hours``, ``1 month``; or a whole number.

    Raises:
        ConfigError: They do not fit together, or make more than 100,000 windows.

    Example:
        >>> [str(window) for window in windows("2026-01-30", "2026-03-01", "1 month")]
        ['2026-01-30 to 2026-02-28', '2026-02-28 to 2026-03-01']
        >>> [str(window) for window in windows("0", "25", "10")]
        ['0 to 10', '10 to 20', '20 to 25']
    """
    first, last, step = _bound(start, "start"), _bound(end, "end"), _step(every)
    if isinstance(first, datetime) != isinstance(last, datetime) or _subdaily(step):
        first, last = _timed(first), _timed(last)
    numbers = [isinstance(part, int) for part in (first, last, step)]
    if any(numbers) != all(numbers):
        raise ConfigError(
            f"start {start}, end {end} and every {every} do not fit together",
            hint="Give two dates or times and a duration, or three whole numbers.",
        )
    if isinstance(first, datetime) and isinstance(last, datetime):
        first, last = _of_one_zone(first, last)
    if not first < last:
        raise ConfigError(f"the backfill ends ({end}) before it begins ({start})")
    return tuple(_cut(first, last, step, every))


def _cut(first: _Bound, last: _Bound, step: _Step, every: str) -> Iterator[Window]:
    lower, made = first, 0
    while lower < last:
        made += 1
        if made > _MOST:
            raise ConfigError(
                f"every {every} makes more than {_MOST:,} windows", hint="Make them longer."
            )
        upper = _plus(first, step, made)
        if not lower < upper:
            raise ConfigError("the length of a window must be more than nothing")
        upper = min(upper, last)
        yield Window(_text(lower), _text(upper), open=True)
        lower = upper


def _plus(value: _Bound, step: _Step, times: int) -> _Bound:
    if isinstance(step, _Months):
        return _months_later(value, step.count * times)
    return value + step * times


def _months_later(value: date | datetime, months: int) -> date | datetime:
    """The same day of a later month, or that month's last one."""
    year, month = divmod(value.year * 12 + value.month - 1 + months, 12)
    return value.replace(
        year=year, month=month + 1, day=min(value.day, monthrange(year, month + 1)[1])
    )


def _bound(text: str, name: str) -> _Bound:
    text = text.strip()
    if re.fullmatch(r"-?\d+", text) and not re.fullmatch(r"\d{8}", text):
        return int(text)
    for parse in (date.fromisoformat, datetime.fromisoformat):
        try:
            return parse(text)
        except ValueError:
            continue
    raise ConfigError(
        f"{name} {text!r} is no date, time or whole number",
        hint="Write 2026-01-31, 2026-01-31T12:00, or a number.",
    )


def _step(text: str) -> _Step:
    if re.fullmatch(r"\s*\d+\s*", text):
        return int(text)
    if match := _CALENDAR.fullmatch(text.strip()):
        return _Months(int(match[1]) * _MONTHS[match[2].lower()])
    try:
        return duration(text)
    except ValueError as error:
        raise ConfigError(f"every: {error}") from error


def _subdaily(step: _Step) -> bool:
    return isinstance(step, timedelta) and step % timedelta(days=1) != timedelta()


def _timed(value: _Bound) -> _Bound:
    if isinstance(value, int | datetime):
        return value
    return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - as the cursor has none


def _of_one_zone(first: datetime, last: datetime) -> tuple[datetime, datetime]:
    zone = first.tzinfo or last.tzinfo
    return (
        first if first.tzinfo else first.replace(tzinfo=zone),
        last if last.tzinfo else last.replace(tzinfo=zone),
    )


def _text(value: _Bound) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def settled(
    found: Sequence[Window], done: Mapping[str, object], failed: Mapping[str, str]
) -> tuple[BackfillWindow, ...]:
    """What became of each window so far.

    Args:
        found: The windows.
        done: Positions that the ledger has, by name.
        failed: Why the last try of a window failed, by window.

    Example:
        >>> found = windows("2026-01-01", "2026-01-03", "1 day")
        >>> [p.status for p in settled(found, {position(found[0]): 1}, {str(found[1]): "full"})]
        ['done', 'failed']
    """
    return tuple(_settled_one(window, done, failed) for window in found)


def _settled_one(
    window: Window, done: Mapping[str, object], failed: Mapping[str, str]
) -> BackfillWindow:
    if position(window) in done:
        return BackfillWindow(window, "done")
    if str(window) in failed:
        return BackfillWindow(window, "failed", failed[str(window)])
    return BackfillWindow(window, "missing")


def position(window: Window) -> str:
    """How the ledger names a window that was backfilled.

    Example:
        >>> position(Window("2026-01-01", "2026-01-02", open=True))
        'window 2026-01-01 to 2026-01-02'
    """
    return f"window {window}"
