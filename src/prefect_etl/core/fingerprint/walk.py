"""The way through a value and all that it contains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from prefect_etl.core.fingerprint.containers import EXACT, encoder_of
from prefect_etl.core.fingerprint.encoding import Refused, node
from prefect_etl.core.fingerprint.leaves import LEAVES

# A library's values can only exist where it is imported already.
_LIBRARIES = {
    "pandas": "of_pandas",
    "polars": "of_polars",
    "pyarrow": "of_arrow",
    "narwhals": "of_narwhals",
    "numpy": "of_numpy",
}


class Walk:
    """One way through one value."""

    def __init__(self) -> None:
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
            return (EXACT.get(type(value)) or _encoder(value))(self, value)
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


def _encoder(value: Any) -> Callable[[Walk, Any], bytes]:
    if not isinstance(value, type):
        for kind in type(value).__mro__:
            library = kind.__module__.partition(".")[0]
            if library in _LIBRARIES and library in sys.modules:
                module = import_module(f"prefect_etl.core.fingerprint.{_LIBRARIES[library]}")
                encode: Callable[[Walk, Any], bytes] = module.encode
                return encode
    return encoder_of(value)
