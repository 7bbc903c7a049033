"""NumPy's arrays and scalars: their bytes, type and shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of exactly this class; None if nothing does."""
    if kind is np.ndarray:
        return _array
    if issubclass(kind, np.generic):
        return _scalar
    return None


def write_array(encoder: Encoder, array: Any) -> Tree:
    """An array whose type has no Python objects in it."""
    if array.dtype.hasobject:
        raise no_exact_form(array, "it holds Python objects")
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    flat = np.ascontiguousarray(array.T if order == "F" else array).reshape(-1).view(np.uint8)
    return {
        "t": "numpy.ndarray",
        "v": encoder.add_bytes(flat.data),
        "dtype": _dtype(encoder, array.dtype),
        "shape": [*array.shape],
        "order": order,
    }


def _array(encoder: Encoder, value: Any) -> Tree:
    return write_array(encoder, value)


def _scalar(encoder: Encoder, value: Any) -> Tree:
    return {"t": "numpy.scalar", "v": write_array(encoder, np.asarray(value).reshape(1))}


def _dtype(encoder: Encoder, dtype: Any) -> Tree:
    if type(dtype).__name__ == "StringDType":
        raise no_exact_form(dtype)
    # Names and offsets of a structured type are plain values; `str` of it has its byte order.
    return dtype.str if dtype.names is None else encoder.encode(_fields(dtype))


def _fields(dtype: Any) -> list[Any]:
    described: list[Any] = np.lib.format.dtype_to_descr(dtype)
    return described


def _read_array(decoder: Decoder, tree: Mapping[str, Any]) -> Any:
    described = decoder.decode(tree["dtype"])
    dtype = np.lib.format.descr_to_dtype(described)
    shape = tree["shape"][::-1] if tree["order"] == "F" else tree["shape"]
    # A copy: what the caller gets may be written to.
    array = np.frombuffer(decoder.sections[tree["v"]], dtype=np.uint8).copy().view(dtype)
    array = array.reshape(shape)
    return array.T if tree["order"] == "F" else array


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "numpy.ndarray": _read_array,
    "numpy.scalar": lambda decoder, tree: decoder.decode(tree["v"])[0],
}
