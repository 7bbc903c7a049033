"""Python's own values, by exact type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PosixPath, PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from prefect_etl.orchestration.caching.exact import (
    Decoder,
    Encoder,
    NoExactFormError,
    Tree,
    no_exact_form,
)

Decode = Callable[[Decoder, Mapping[str, Any]], Any]


def _text(tag: str, write: Callable[[Any], str] = str) -> Callable[[Encoder, Any], Tree]:
    return lambda _, value: {"t": tag, "v": write(value)}


def _sequence(tag: str) -> Callable[[Encoder, Any], Tree]:
    return lambda encoder, value: {"t": tag, "v": encoder.items(value)}


def _set(tag: str) -> Callable[[Encoder, Any], Tree]:
    return lambda encoder, value: {"t": tag, "v": encoder.items(list(value))}


def _mapping(encoder: Encoder, value: dict[Any, Any]) -> Tree:
    pairs = encoder.pairs(value)
    if all(type(key) is str for key in value):
        return {"t": "dict", "v": {key: tree for key, tree in pairs}}  # noqa: C416 - str keys
    return {"t": "pairs", "v": pairs}


def _bytes(tag: str) -> Callable[[Encoder, Any], Tree]:
    return lambda encoder, value: {"t": tag, "v": encoder.add_bytes(value)}


def _datetime(encoder: Encoder, value: datetime) -> Tree:
    zone = None if value.tzinfo is None else _zone(encoder, value.tzinfo)
    return {
        "t": "datetime",
        "v": value.replace(tzinfo=None, fold=0).isoformat(),
        "fold": value.fold,
        "zone": zone,
    }


def _time(encoder: Encoder, value: time) -> Tree:
    zone = None if value.tzinfo is None else _zone(encoder, value.tzinfo)
    text = value.replace(tzinfo=None, fold=0).isoformat()
    return {"t": "time", "v": text, "fold": value.fold, "zone": zone}


def _zone(encoder: Encoder, zone: tzinfo) -> Tree:
    if type(zone) not in {ZoneInfo, timezone}:
        raise no_exact_form(zone, "a time zone other than zoneinfo's")
    return encoder.encode(zone)


def _zone_info(_: Encoder, value: ZoneInfo) -> Tree:
    if value.key is None:
        raise NoExactFormError("a zoneinfo.ZoneInfo without a key")
    return {"t": "zoneinfo", "v": value.key}


def _fixed_zone(encoder: Encoder, value: timezone) -> Tree:
    if value is UTC:
        return {"t": "utc"}
    offset = value.utcoffset(None)
    named = repr(value) != repr(timezone(offset))
    return {
        "t": "timezone",
        "v": encoder.encode(offset),
        "name": value.tzname(None) if named else None,
    }


ENCODERS: dict[type, Callable[[Encoder, Any], Tree]] = {
    tuple: _sequence("tuple"),
    set: _set("set"),
    frozenset: _set("frozenset"),
    dict: _mapping,
    bytes: _bytes("bytes"),
    bytearray: _bytes("bytearray"),
    complex: _text("complex", repr),
    range: lambda e, v: {"t": "range", "v": e.items([v.start, v.stop, v.step])},
    slice: lambda e, v: {"t": "slice", "v": e.items([v.start, v.stop, v.step])},
    type(...): lambda *_: {"t": "ellipsis"},
    Decimal: _text("decimal"),
    Fraction: lambda e, v: {"t": "fraction", "v": e.items([v.numerator, v.denominator])},
    UUID: _text("uuid"),
    PosixPath: _text("path"),
    PurePosixPath: _text("purepath"),
    datetime: _datetime,
    time: _time,
    date: _text("date", date.isoformat),
    timedelta: lambda _, v: {"t": "timedelta", "v": [v.days, v.seconds, v.microseconds]},
    ZoneInfo: _zone_info,
    timezone: _fixed_zone,
}


def _read_datetime(decoder: Decoder, tree: Mapping[str, Any]) -> datetime:
    zone = decoder.decode(tree["zone"])
    return datetime.fromisoformat(tree["v"]).replace(tzinfo=zone, fold=tree["fold"])


def _read_time(decoder: Decoder, tree: Mapping[str, Any]) -> time:
    zone = decoder.decode(tree["zone"])
    return time.fromisoformat(tree["v"]).replace(tzinfo=zone, fold=tree["fold"])


def _read_timezone(decoder: Decoder, tree: Mapping[str, Any]) -> timezone:
    offset = decoder.decode(tree["v"])
    return timezone(offset) if tree["name"] is None else timezone(offset, tree["name"])


DECODERS: dict[str, Decode] = {
    "int": lambda _, t: int(t["v"], 16),
    "float": lambda _, t: float(t["v"]),
    "tuple": lambda d, t: tuple(d.decode(t["v"])),
    "set": lambda d, t: set(d.decode(t["v"])),
    "frozenset": lambda d, t: frozenset(d.decode(t["v"])),
    "dict": lambda d, t: {key: d.decode(tree) for key, tree in t["v"].items()},
    "pairs": lambda d, t: {d.decode(key): d.decode(tree) for key, tree in t["v"]},
    "bytes": lambda d, t: d.sections.as_bytes(t["v"]),
    "bytearray": lambda d, t: bytearray(d.sections[t["v"]]),
    "complex": lambda _, t: complex(t["v"]),
    "range": lambda d, t: range(*d.decode(t["v"])),
    "slice": lambda d, t: slice(*d.decode(t["v"])),
    "ellipsis": lambda *_: ...,
    "decimal": lambda _, t: Decimal(t["v"]),
    "fraction": lambda d, t: Fraction(*d.decode(t["v"])),
    "uuid": lambda _, t: UUID(t["v"]),
    "path": lambda _, t: Path(t["v"]),
    "purepath": lambda _, t: PurePosixPath(t["v"]),
    "datetime": _read_datetime,
    "time": _read_time,
    "date": lambda _, t: date.fromisoformat(t["v"]),
    "timedelta": lambda _, t: timedelta(*t["v"]),
    "zoneinfo": lambda _, t: ZoneInfo(t["v"]),
    "utc": lambda *_: UTC,
    "timezone": _read_timezone,
}
