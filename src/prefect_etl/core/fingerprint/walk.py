"""The way through a value and all that it contains."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from prefect_etl.core.fingerprint.encoding import Refused, node
from prefect_etl.core.fingerprint.leaves import LEAVES

_Encode = Callable[["Walk", Any], bytes]


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
        return self._compound(value)

    def under(self, part: str, value: Any) -> bytes:
        """The encoding of a value within another; ``part`` is its place in errors."""
        try:
            return self.encode(value)
        except Refused as refused:
            raise refused.under(part) from None

    def mapping(self, tag: str, values: Mapping[str, Any]) -> bytes:
        """The encoding of named values; their order does not matter."""
        names = sorted(values)
        parts = (self.under(f".{name}", values[name]) for name in names)
        return node(tag, self.encode(names), *parts)

    def _compound(self, value: Any) -> bytes:
        with self._within(value):
            return _encoder(value)(self, value)

    @contextmanager
    def _within(self, value: Any) -> Iterator[None]:
        if id(value) in self._inside:
            raise Refused(f"is a {type(value).__name__} that contains itself")
        self._inside.add(id(value))
        try:
            yield
        finally:
            self._inside.remove(id(value))


def _encoder(value: Any) -> _Encode:
    """What encodes a value; a library that is not imported made none of it."""
    from prefect_etl.core.fingerprint import containers

    return _of_library(value) or containers.encoder_of(value)


def _of_library(value: Any) -> _Encode | None:
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if library == "pandas" and "pandas" in sys.modules:
            from prefect_etl.core.fingerprint import of_pandas

            return of_pandas.encode
        if library == "polars" and "polars" in sys.modules:
            from prefect_etl.core.fingerprint import of_polars

            return of_polars.encode
        if library == "pyarrow" and "pyarrow" in sys.modules:
            from prefect_etl.core.fingerprint import of_arrow_values

            return of_arrow_values.encode
        if library == "narwhals" and "narwhals" in sys.modules:
            from prefect_etl.core.fingerprint import of_narwhals

            return of_narwhals.encode
        if library == "numpy" and "numpy" in sys.modules:
            from prefect_etl.core.fingerprint import of_numpy

            return of_numpy.encode
    return None
