"""Which function writes and reads which type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from prefect_etl.orchestration.caching import objects, plain
from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree

Encode = Callable[[Encoder, Any], Tree]
Decode = Callable[[Decoder, Mapping[str, Any]], Any]

# Of a library: where its types are written and read. Imported with the first value of it.
_LIBRARIES = {
    "numpy": "numpy_values",
    "pandas": "pandas_frames",
    "polars": "polars_frames",
    "pyarrow": "arrow_frames",
    "narwhals": "narwhals_frames",
}


def encoder_for(kind: type) -> Encode | None:
    """What writes values of exactly this type; None if nothing does."""
    known = plain.ENCODERS.get(kind)
    if known is not None:
        return known
    library = kind.__module__.partition(".")[0]
    if library in _LIBRARIES:
        found: Encode | None = _module(library).encoder_for(kind)
        return found
    return objects.encoder_for(kind)


class _Decoders(dict[str, Decode]):
    """By tag; those of a library have its name before a dot."""

    def __missing__(self, tag: str) -> Decode:
        library, dot, _ = tag.partition(".")
        if not dot or library not in _LIBRARIES:
            raise LookupError(f"nothing reads {tag!r}")
        self.update(_module(library).DECODERS)
        if tag not in self:
            raise LookupError(f"nothing reads {tag!r}")
        return self[tag]


DECODERS = _Decoders(plain.DECODERS | objects.DECODERS)


def _module(library: str) -> Any:
    return import_module(f"prefect_etl.orchestration.caching.{_LIBRARIES[library]}")
