"""Plain values that contain no others, by their exact type."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from types import EllipsisType, NoneType, NotImplementedType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect_etl.core.fingerprint.encoding import Refused, framed, leaf, text

_NAN = struct.pack("<d", float("nan"))


def whole(value: int) -> bytes:
    """An integer of any size."""
    return leaf("int", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


def real(value: float) -> bytes:
    """A float by its bits: 0.0 and -0.0 differ, all NaN are one."""
    return struct.pack("<d", value) if value == value else _NAN  # noqa: PLR0124


def _float(value: float) -> bytes:
    return leaf("float", real(value))


def _complex(value: complex) -> bytes:
    return leaf("complex", real(value.real) + real(value.imag))


def _fraction(value: Fraction) -> bytes:
    return leaf("fraction", framed((whole(value.numerator), whole(value.denominator))))


def _timedelta(value: timedelta) -> bytes:
    return leaf("timedelta", f"{value.days},{value.seconds},{value.microseconds}".encode())


def _datetime(value: datetime) -> bytes:
    plain = value.replace(tzinfo=None).isoformat().encode()
    return leaf("datetime", framed((plain, *_zoned(value))))


def _time(value: time) -> bytes:
    plain = value.replace(tzinfo=None).isoformat().encode()
    return leaf("time", framed((plain, *_zoned(value))))


def _zoned(value: datetime | time) -> tuple[bytes, ...]:
    fold = b"%d" % value.fold
    if value.tzinfo is None:
        return (fold,)
    return (fold, zone(value.tzinfo), str(value.utcoffset()).encode())


def zone(value: tzinfo) -> bytes:
    """A time zone by its name; UTC is one, whichever library made it.

    Raises:
        Refused: It has no name that other processes know.
    """
    name = getattr(value, "key", None) or getattr(value, "zone", None)
    if name is None and (isinstance(value, timezone) or value.utcoffset(None) is not None):
        name = str(timezone(value.utcoffset(None) or timedelta()))
    if name is None:
        name = getattr(value, "_filename", None)  # dateutil
    if name is None:
        raise Refused(f"has a time zone of {type(value).__name__}, which has no name")
    return text(str(name))


def _range(value: range) -> bytes:
    if not value:
        return leaf("range", b"")
    # Ranges are equal when their numbers are.
    parts = (whole(value[0]), whole(len(value)), whole(value.step if len(value) > 1 else 0))
    return leaf("range", framed(parts))


def _pattern(value: re.Pattern[Any]) -> bytes:
    if isinstance(value.pattern, str):
        return leaf("pattern", framed((b"str", text(value.pattern), whole(value.flags))))
    return leaf("pattern", framed((b"bytes", bytes(value.pattern), whole(value.flags))))


LEAVES: dict[type, Callable[[Any], bytes]] = {
    NoneType: lambda _: b"none:",
    EllipsisType: lambda _: b"ellipsis:",
    NotImplementedType: lambda _: b"notimplemented:",
    bool: lambda value: b"bool:1" if value else b"bool:0",
    int: whole,
    float: _float,
    complex: _complex,
    str: lambda value: b"str:" + text(value),
    bytes: lambda value: b"bytes:" + value,
    bytearray: lambda value: b"bytearray:" + value,
    Decimal: lambda value: b"decimal:" + str(value).encode(),
    Fraction: _fraction,
    datetime: _datetime,
    date: lambda value: b"date:" + value.isoformat().encode(),
    time: _time,
    timedelta: _timedelta,
    timezone: lambda value: leaf("zone", zone(value)),
    ZoneInfo: lambda value: leaf("zone", zone(value)),
    UUID: lambda value: b"uuid:" + value.bytes,
    range: _range,
    re.Pattern: _pattern,
}
"""What encodes a value of exactly this type."""
