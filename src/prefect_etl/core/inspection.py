"""What a look at a file found, before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was found out, and how sure it is: 0 to 1, None where it is not a guess."""

    name: str
    value: str
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class InspectedColumn:
    """A column, its type as the engine names it, and a value of it as text."""

    name: str
    type: str
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is.

    Attributes:
        path: Which.
        format: Its format.
        facts: How it is written: encoding, delimiter, …
        columns: What the table would have.
        rows: The first rows, as text.
        rejected: Records, among those that were looked at, that cannot be read as rows.
        notes: What a person should know, in words.
        pins: Keys of a dataset in the pipeline file that say what was found.
    """

    path: str
    format: str
    facts: tuple[Fact, ...]
    columns: tuple[InspectedColumn, ...]
    rows: tuple[tuple[str | None, ...], ...]
    rejected: int = 0
    notes: tuple[str, ...] = ()
    pins: Mapping[str, Any] = field(default_factory=dict)
