"""Reads JSON as RFC 8259 has it: nothing more is accepted, and no number is rounded.

Python's own parser accepts NaN and Infinity, rounds, and keeps the last of two equal keys without
a word; here it is given other ways to make values. It reads from nested lists with the C stack, and
gives up by an error long before that ends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from prefect_etl.connectors.files.json.numbers import Number

MOST_DEPTH = 100
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\n\r]*")
# An error this near to the end of the text may be one of text that goes on: \u00e9, false, -1.
_NEAR = 12


class Fault(Exception):
    """A record that cannot be read.

    Attributes:
        rule: What it breaks, by name.
        reason: And in words.
        at: Where in the text, where it is known.
    """

    def __init__(self, rule: str, reason: str, at: int = 0) -> None:
        super().__init__(reason)
        self.rule = rule
        self.reason = reason
        self.at = at


@dataclass(slots=True)
class Reader:
    """Reads values, one after the other.

    Attributes:
        doubled: Keys that came twice in an object of the value that was read last.
    """

    doubled: list[str] = field(default_factory=list)
    _decoder: json.JSONDecoder = field(init=False)

    def __post_init__(self) -> None:
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=Number,
            parse_int=Number,
            parse_constant=_no_constant,
        )

    def value(self, text: str) -> Any:
        """The one value of a text.

        Raises:
            Fault: It is none.

        Example:
            >>> Reader().value('{"n": 0.10, "n": [true]}'), Reader().value("1e400")
            ({'n': [True]}, '1e400')
        """
        value, end = self.next(text, skip_space(text, 0))
        end = skip_space(text, end)
        if end < len(text):
            raise Fault("json.syntax", "something follows the value", end)
        return value

    def next(self, text: str, at: int) -> tuple[Any, int]:
        """The value that begins at a place, and where it ends.

        Raises:
            Fault: There is none.
        """
        self.doubled.clear()
        try:
            return self._decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            reason = error.msg[:1].lower() + error.msg[1:].removesuffix(" at")
            raise Fault("json.syntax", reason, error.pos) from None
        except _Constant as error:
            raise Fault("json.syntax", f"{error} is no JSON", at) from None
        except RecursionError:
            raise too_deep(at) from None

    def _object(self, pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            self.doubled += [key for key, _ in pairs if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
        return found


class _Constant(ValueError):
    """A word that Python takes for a number."""


def _no_constant(word: str) -> NoReturn:
    raise _Constant(word)


def goes_on(fault: Fault, text: str) -> bool:
    """Whether a fault may be that the text is not all there yet."""
    return fault.reason.startswith("unterminated string") or fault.at >= len(text) - _NEAR


def skip_space(text: str, at: int) -> int:
    """The first place at or after one that is not white space (RFC 8259, 2)."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()


def too_deep(at: int = 0) -> Fault:
    """The fault of a value with too many lists or objects in each other."""
    return Fault("json.depth", f"it is nested more than {MOST_DEPTH} deep", at)


def assert_text(text: str) -> None:
    """Refuse half a surrogate pair, which no encoding can hold.

    Raises:
        Fault: There is one.
    """
    if not text.isascii() and _SURROGATE.search(text):
        raise Fault("json.surrogate", "a text has half of a surrogate pair (\\ud800 to \\udfff)")


def with_whole_pairs(value: Any) -> Any:
    """The same value with U+FFFD for halves of surrogate pairs."""
    match value:
        case Number():
            return value
        case str():
            return _SURROGATE.sub("\ufffd", value)
        case list():
            return [with_whole_pairs(part) for part in value]
        case dict():
            return {with_whole_pairs(k): with_whole_pairs(part) for k, part in value.items()}
    return value
