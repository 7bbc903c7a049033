"""NumPy: arrays whatever their layout, scalars and types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from prefect_etl.core.fingerprint.containers import encoder_of
from prefect_etl.core.fingerprint.encoding import WINDOW, Refused, leaf, name_of, node, size, text
from prefect_etl.core.fingerprint.sequences import sequence
from prefect_etl.core.fingerprint.streams import Array, Fixed, windows

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a value of NumPy's.

    Raises:
        Refused: It is neither data nor a type.
    """
    if isinstance(value, np.dtype):
        return numpy_type(walk, value)
    if isinstance(value, np.generic):
        return node("numpy.scalar", name_of(type(value)), _content(walk, np.asarray(value)))
    if isinstance(value, np.ma.MaskedArray):
        return _masked(walk, value)
    if type(value) in (np.ndarray, np.memmap):
        return _content(walk, np.asarray(value))
    if isinstance(value, np.matrix | np.recarray):
        return node("numpy.subclass", name_of(type(value)), _content(walk, np.asarray(value)))
    return encoder_of(value)(walk, value)


def _content(walk: Walk, array: Array) -> bytes:
    shape = node("shape", *map(size, array.shape))
    values = numpy_values(walk, np.atleast_1d(array))
    return node("numpy.array", numpy_type(walk, array.dtype), shape, values)


def _masked(walk: Walk, value: Any) -> bytes:
    mask = np.ma.getmaskarray(value)
    data = np.array(value.data)
    data[mask] = np.zeros((), data.dtype)
    parts = (_content(walk, mask), _content(walk, data), walk.encode(np.asarray(value.fill_value)))
    return node("numpy.masked", name_of(type(value)), *parts)


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
        return node("numpy.text", walk.encode(getattr(kind, "na_object", ...)))
    return leaf("numpy.type", text(kind.newbyteorder("<").str))


def numpy_values(walk: Walk, array: Array) -> bytes:
    """The content of an array of one dimension or more, in C order.

    Raises:
        Refused: It holds objects without exact content, or numbers without exact bytes.
    """
    kind = array.dtype
    if kind.names is not None:
        return node("records", *(numpy_values(walk, array[name]) for name in kind.names))
    if kind.kind in "OT":
        return sequence(walk, "objects", array.reshape(-1))
    if kind.char in "gG":
        raise Refused(f"has the type {kind}, which differs between machines")
    fixed = Fixed()
    if array.ndim == 1 or array.flags.c_contiguous:
        fixed.feed(as_numbers(array.reshape(-1)))
        return fixed.digest()
    for window in windows(len(array), max(1, WINDOW * len(array) // max(1, array.size))):
        fixed.feed(as_numbers(np.ascontiguousarray(array[window]).reshape(-1)))
    return fixed.digest()


def as_numbers(values: Array) -> Array:
    """Values of one dimension, with dates and text as the numbers that they are made of."""
    kind = values.dtype
    if kind.kind in "mM":
        return values.view(kind.str[0] + "i8")
    if kind.kind == "b":
        return values.view(np.uint8)
    if kind.kind not in "USV":
        return values
    if not kind.itemsize:
        return np.empty((len(values), 0), np.uint8)
    part = kind.str[0] + "u4" if kind.kind == "U" else "u1"
    width = kind.itemsize // np.dtype(part).itemsize
    return np.ascontiguousarray(values).view(part).reshape(len(values), width)
