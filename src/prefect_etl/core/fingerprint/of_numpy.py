"""NumPy: arrays whatever their layout, scalars and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from prefect_etl.core.fingerprint.encoding import WINDOW, Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.sequences import sequence
from prefect_etl.core.fingerprint.streams import Array, Fixed, windows

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk

_LAID_OUT = (np.ndarray, np.memmap)
_NUMBERS = "biufcmM"


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of NumPy's.

    Raises:
        Refused: It is neither data nor a type.
    """
    if isinstance(value, np.dtype):
        return numpy_type(walk, value)
    if isinstance(value, np.generic):
        array = np.asarray(value)
        return node(
            "numpy.scalar",
            name_of(type(value)),
            numpy_type(walk, array.dtype),
            numpy_values(walk, array.reshape(1)),
        )
    if isinstance(value, np.ma.MaskedArray):
        return _masked(walk, value)
    if type(value) in _LAID_OUT:
        shape = (size(length) for length in value.shape)
        return node(
            "numpy.array",
            numpy_type(walk, value.dtype),
            node("shape", *shape),
            numpy_values(walk, np.atleast_1d(value)),
        )
    if isinstance(value, np.matrix | np.recarray):
        return node("numpy.subclass", name_of(type(value)), walk.encode(value.view(np.ndarray)))
    raise Refused(f"is a {name_of(type(value)).decode()}, whose content is not known")


def _masked(walk: Walk, value: Any) -> bytes:
    return node(
        "numpy.masked",
        walk.encode(np.ma.getmaskarray(value)),
        walk.encode(value.filled(np.zeros((), value.dtype)[()])),
        walk.encode(np.asarray(value.fill_value)),
    )


def numpy_type(walk: Walk, kind: np.dtype[Any]) -> bytes:
    """A type, without its byte order and padding."""
    if kind.names is not None and kind.fields is not None:
        fields = (
            node("field", text(name), numpy_type(walk, kind.fields[name][0])) for name in kind.names
        )
        return node("numpy.record", *fields)
    if kind.subdtype is not None:
        base, shape = kind.subdtype
        return node("numpy.sub", numpy_type(walk, base), *map(size, shape))
    if kind.kind == "T":
        missing = walk.encode(getattr(kind, "na_object", ...))
        return node("numpy.text", missing)
    return leaf("numpy.type", text(kind.newbyteorder("<").str))


def numpy_values(walk: Walk, array: Array) -> bytes:
    """The content of an array of one dimension or more, in C order."""
    kind = array.dtype
    if kind.names is not None:
        return node("record", *(numpy_values(walk, array[name]) for name in kind.names))
    if kind.kind in "OT":
        return sequence(walk, "objects", array.reshape(-1).tolist())
    if kind.kind in "fc" and np.finfo(kind).bits not in (16, 32, 64):
        raise Refused(f"has the type {kind}, which differs between machines")
    fixed = Fixed()
    for window in windows(len(array), max(1, WINDOW * len(array) // max(1, array.size))):
        fixed.feed(as_numbers(np.ascontiguousarray(array[window]).reshape(-1)))
    return fixed.digest()


def as_numbers(values: Array) -> Array:
    """Contiguous values of one dimension, dates and text as the numbers that they are made of."""
    kind = values.dtype
    if kind.kind in "mM":
        return values.view(kind.str[0] + "i8")
    if kind.kind == "U" and kind.itemsize:
        return values.view(kind.str[0] + "u4").reshape(len(values), -1)
    if kind.kind in "SVU":
        return values.view(np.uint8).reshape(len(values), kind.itemsize)
    return values.view(np.uint8) if kind.kind == "b" else values
