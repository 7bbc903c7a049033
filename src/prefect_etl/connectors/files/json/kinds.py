"""Types of columns taken apart, so that a value can be spelled for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from prefect_etl.connectors.files.json.numbers import Digits
from prefect_etl.core.sql import identifier
from prefect_etl.core.types import is_integer


@dataclass(frozen=True, slots=True)
class Kind:
    """A type.

    Attributes:
        name: ``struct``, ``list``, ``map``, ``json``, ``text``, ``integer``, ``double`` or
            ``other``.
        spelled: As the engine spells it.
        fields: Of a struct.
        item: Of a list or map.
        first: The least value of an integer type.
        last: And the greatest.
    """

    name: str
    spelled: str
    fields: Mapping[str, Kind] = field(default_factory=dict)
    item: Kind | None = None
    first: int = 0
    last: int = 0

    def carried(self) -> str:
        """The type in which the engine reads it from what is spelled: JSON as a text."""
        match self.name:
            case "struct":
                return _struct((name, kind.carried()) for name, kind in self.fields.items())
            case "list" if self.item:
                return f"{self.item.carried()}[]"
            case "map" if self.item:
                return f"MAP(VARCHAR, {self.item.carried()})"
            case "json":
                return "VARCHAR"
        return self.spelled


TEXT = Kind("text", "VARCHAR")
_BITS = {"TINY": 8, "SMALL": 16, "": 32, "BIG": 64, "HUGE": 128}


@cache
def kind_of(spelled: str) -> Kind:
    """Take a type apart.

    Example:
        >>> kind_of("STRUCT(a BIGINT, b JSON[])").carried()
        'STRUCT("a" BIGINT, "b" VARCHAR[])'
    """
    import duckdb

    return _kind(duckdb.sqltype(spelled))


def _kind(found: Any) -> Kind:
    spelled = str(found)
    if spelled == "JSON":
        return Kind("json", spelled)
    match found.id:
        case "struct":
            fields = {name: _kind(child) for name, child in found.children}
            return Kind("struct", _struct((n, k.spelled) for n, k in fields.items()), fields)
        case "list" | "array":
            return Kind("list", spelled, item=_kind(found.children[0][1]))
        case "map" if str(found.children[0][1]) == "VARCHAR":
            return Kind("map", spelled, item=_kind(found.children[1][1]))
        case "varchar":
            return TEXT
        case "double" | "float":
            return Kind("double", spelled)
    return _integer(spelled) if is_integer(spelled) else Kind("other", spelled)


def _integer(spelled: str) -> Kind:
    signed = not spelled.startswith("U")
    bits = _BITS[spelled.removeprefix("U").removesuffix("EGER").removesuffix("INT")]
    half = 1 << (bits - signed)
    return Kind("integer", spelled, first=-half if signed else 0, last=half - 1)


def _struct(fields: Iterable[tuple[str, str]]) -> str:
    return f"STRUCT({', '.join(f'{identifier(name)} {kind}' for name, kind in fields)})"


@dataclass(slots=True)
class Seen:
    """What was seen at one place of the records: numbers, keys, items of lists, empty keys."""

    digits: Digits | None = None
    fields: dict[str, Seen] = field(default_factory=dict)
    item: Seen | None = None
    nameless: bool = False

    def colliding(self) -> tuple[str, str] | None:
        """Two keys that differ only in case, here or further in."""
        lower: dict[str, str] = {}
        for name, inner in self.fields.items():
            other = lower.setdefault(name.lower(), name)
            if other is not name:
                return other, name
            if found := inner.colliding():
                return found
        return self.item.colliding() if self.item else None

    @property
    def inexact(self) -> bool:
        """Whether there are numbers that 64 bits do not hold or empty keys, here or further in."""
        long = self.digits is not None and (self.digits.long or self.digits.inexact)
        here = long or self.nameless
        inner = (*self.fields.values(), *([self.item] if self.item else []))
        return here or any(part.inexact for part in inner)


def exact_type(found: Kind, seen: Seen) -> str:
    """The type that the engine found, with numbers that hold what was seen.

    Example:
        >>> seen = Seen(item=Seen(Digits(before=30, long=True)))
        >>> exact_type(kind_of("BIGINT[]"), seen)
        'HUGEINT[]'
    """
    nothing = Seen()
    match found.name:
        case "struct":
            fields = found.fields.items()
            return _struct((n, exact_type(k, seen.fields.get(n, nothing))) for n, k in fields)
        case "list" if found.item:
            return f"{exact_type(found.item, seen.item or nothing)}[]"
        case "map" if found.item:
            # Its keys are data; one type holds all values.
            return "JSON" if any(part.inexact for part in seen.fields.values()) else found.spelled
    return seen.digits.type_for(found.spelled) if seen.digits else found.spelled
