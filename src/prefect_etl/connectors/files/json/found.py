"""What stands where a record is expected in a file of JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prefect_etl.connectors.files.json.exact import Fault
from prefect_etl.connectors.files.json.quick import Trust

# A longer record is put aside: it, its text and its values must fit into memory together.
MOST_BYTES = 32 << 20
SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Found:
    """A value that stands where a record is expected.

    Attributes:
        value: What was read; None with a fault.
        fault: Why it cannot be read.
        line: The line in which it begins, from 1.
        byte: The byte at which it begins, from 0, in UTF-8 and without a mark.
        text: It, or its beginning.
        doubled: Keys that came twice.
        mended: Whether what is no text in it was replaced.
        left: How many keys still lead from it to its records; None: all.
        rest: Of what ends the reading of a document: the bytes that are left.
    """

    value: Any
    fault: Fault | None
    line: int
    byte: int
    text: str
    doubled: tuple[str, ...] = ()
    mended: bool = False
    rest: int = 0
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Together:
    """Records that need no care.

    Attributes:
        values: What was read.
        trust: How far their numbers can be trusted.
        doubled: Lines, from 1, in which a key came twice.
        key: The key that came twice in the first of them.
    """

    values: list[dict[str, Any]]
    trust: Trust
    doubled: tuple[int, ...] = ()
    key: str = ""


def shown(text: bytes | str) -> str:
    r"""The beginning of a text, bytes that are no text as \xNN."""
    if isinstance(text, bytes):
        return text[:SHOWN].decode("utf-8", "backslashreplace")
    return text[:SHOWN].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def too_long() -> Fault:
    """The fault of a record that is too long."""
    return Fault("json.size", f"it is longer than {MOST_BYTES >> 20} MiB")
