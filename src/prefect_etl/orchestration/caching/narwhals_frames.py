"""narwhals' frames and columns, as those of the library that they wrap."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import narwhals as nw
from narwhals import stable

from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form

_KINDS = ("DataFrame", "LazyFrame", "Series")
# Its API promises stay with the module that a value comes from.
_MODULES = {"narwhals": nw, "narwhals.stable.v1": stable.v1, "narwhals.stable.v2": stable.v2}


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of exactly this class; None if nothing does."""
    for name, module in _MODULES.items():
        if kind in {getattr(module, each) for each in _KINDS}:
            return lambda encoder, value: _wrapped(encoder, value, name)
    return None


def _wrapped(encoder: Encoder, value: Any, module: str) -> Tree:
    native = value.to_native()
    if type(native).__module__.partition(".")[0] not in {"pandas", "polars", "pyarrow"}:
        raise no_exact_form(native, "narwhals wraps it, and it is a query, not data")
    return {"t": "narwhals.wrapped", "module": module, "v": encoder.encode(native)}


def _read(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    native = decoder.decode(tree["v"])
    return _MODULES[tree["module"]].from_native(native, allow_series=True)


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {"narwhals.wrapped": _read}
