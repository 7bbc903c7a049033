"""Numbers as people read them: rows, seconds, bytes, rates, times."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR = 60, 3600
_THOUSAND = 1000
_SUB_MINUTE_DIGITS = 10


def count(number: int) -> str:
    """A number in full, thousands apart.

    Example:
        >>> count(6001215)
        '6,001,215'
    """
    return f"{number:,}"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun.

    Example:
        >>> counted(1, "row"), counted(2, "row"), counted(0, "batch", "batches")
        ('1 row', '2 rows', '0 batches')
    """
    return f"{count(number)} {noun if number == 1 else plural or noun + 's'}"


def short(number: float) -> str:
    """A number in three digits or so.

    Example:
        >>> short(999), short(27004), short(6001215), short(0.5)
        ('999', '27.0 k', '6.0 M', '0.5')
    """
    return _scaled(number, ("", "k", "M", "G", "T")).rstrip()


def size(number: int) -> str:
    """Bytes, in powers of a thousand.

    Example:
        >>> size(512), size(1500), size(120_000_000)
        ('512 B', '1.5 kB', '120 MB')
    """
    return _scaled(number, ("B", "kB", "MB", "GB", "TB"))


def _scaled(number: float, units: tuple[str, ...]) -> str:
    step = 0
    # 999.95 would be printed as 1000.0 of its unit.
    while abs(number) >= _THOUSAND - 0.5 and step < len(units) - 1:
        number, step = number / _THOUSAND, step + 1
    exact = float(number).is_integer() and step == 0
    digits = 0 if exact or abs(number) >= 99.95 else 1
    return f"{number:,.{digits}f} {units[step]}"


def seconds(duration: float) -> str:
    """A duration.

    Example:
        >>> seconds(0.034), seconds(3.42), seconds(42.1), seconds(75), seconds(3700)
        ('34 ms', '3.4 s', '42 s', '1 min 15 s', '1 h 1 min')
    """
    if duration < 0.9995:
        return f"{duration * _THOUSAND:.0f} ms"
    if duration < _SUB_MINUTE_DIGITS - 0.05:
        return f"{duration:.1f} s"
    whole = round(duration)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def rate(rows: int, duration: float) -> str:
    """Rows a second; empty where that says nothing.

    Example:
        >>> rate(1_200_000, 1.0), rate(0, 1.0), rate(5, 0.0)
        ('1.2 M', '', '')
    """
    return short(rows / duration) if rows and duration > 0 else ""


def moment(when: datetime) -> str:
    """A time, in UTC.

    Example:
        >>> moment(datetime(2013, 1, 31, 8, 5, tzinfo=UTC))
        '2013-01-31 08:05:00 UTC'
    """
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
