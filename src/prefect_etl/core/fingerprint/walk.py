"""The way through a value and all that it contains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prefect_etl.core.fingerprint.encoding import Refused, node
from prefect_etl.core.fingerprint.leaves import LEAVES


class Walk:
    """One way through one value.

    Args:
        choose: Gives what encodes a value that is no leaf.
    """

    def __init__(self, choose: Callable[[Any], Callable[[Walk, Any], bytes]]) -> None:
        self._choose = choose
        self._inside: set[int] = set()

    def encode(self, value: Any) -> bytes:
        """The encoding of a value.

        Raises:
            Refused: It has none.
        """
        plain = LEAVES.get(type(value))
        if plain is not None:
            return plain(value)
        identity = id(value)
        if identity in self._inside:
            raise Refused(f"is a {type(value).__name__} that contains itself")
        self._inside.add(identity)
        try:
            return self._choose(value)(self, value)
        finally:
            self._inside.remove(identity)

    def under(self, part: str, value: Any) -> bytes:
        """The encoding of a value within another; ``part`` is its place in errors."""
        try:
            return self.encode(value)
        except Refused as refused:
            raise refused.under(part) from None

    def mapping(self, tag: str, values: Mapping[str, Any]) -> bytes:
        """The encoding of named values; their order does not matter."""
        names = sorted(values)
        parts: list[bytes] = []
        try:
            parts.extend(self.encode(values[name]) for name in names)
        except Refused as refused:
            raise refused.under(f".{names[len(parts)]}") from None
        return node(tag, self.encode(names), *parts)
