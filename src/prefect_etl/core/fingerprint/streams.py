"""The bytes of a column as they come, in pieces of any length: equal content, equal digest.

Nothing here depends on where one piece ends and the next begins.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xxhash

from prefect_etl.core.fingerprint.encoding import WINDOW, node, size

Array = np.ndarray[Any, np.dtype[Any]]
_BYTE = 8
_LONG = 0xFFFFFFFF


def windows(rows: int, length: int = WINDOW) -> Iterator[slice]:
    """Slices of at most ``length`` rows that together are all rows."""
    return (slice(start, min(start + length, rows)) for start in range(0, rows, length))


class Bits:
    """Bits in a row; until the first that is not set, they are only counted."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()
        self._ones = 0
        self._only_ones = True
        self._rest: Array = np.empty(0, np.uint8)  # less than a byte of them, one an element

    def ones(self, count: int) -> None:
        """So many bits that are set."""
        self._ones += count

    def flags(self, flags: Array) -> None:
        """One bit for each element, which is 0 or 1."""
        self._only_ones = False
        self._write_ones()
        self._write(flags.view(np.uint8))

    def packed(self, bytes_: Array, offset: int, count: int) -> None:
        """Bits of Arrow's bitmaps: the lowest of each byte first."""
        self._only_ones = False
        self._write_ones()
        if len(self._rest) or offset % _BYTE:
            self._write(unpacked(bytes_, offset, count))
            return
        start, whole = offset // _BYTE, count // _BYTE
        self._hash.update(bytes_[start : start + whole].data)
        self._rest = unpacked(bytes_, offset + whole * _BYTE, count % _BYTE)

    def digest(self) -> bytes:
        """Empty, if all were set."""
        if self._only_ones:
            return b""
        self._write_ones()
        last = self._hash.copy()
        last.update(np.packbits(self._rest, bitorder="little").data)
        return last.digest()

    def _write_ones(self) -> None:
        count, self._ones = self._ones, 0
        for window in windows(count, _BYTE * WINDOW):
            self._write(np.ones(window.stop - window.start, np.uint8))

    def _write(self, flags: Array) -> None:
        if len(self._rest):
            flags = np.concatenate([self._rest, flags])
        whole = len(flags) // _BYTE * _BYTE
        self._hash.update(np.packbits(flags[:whole], bitorder="little").data)
        self._rest = flags[whole:].copy()


def unpacked(bytes_: Array, offset: int, count: int) -> Array:
    """Bits of an Arrow bitmap, one an element."""
    start, within = divmod(offset, _BYTE)
    stop = (offset + count + _BYTE - 1) // _BYTE
    return np.unpackbits(bytes_[start:stop], bitorder="little")[within : within + count]


class Fixed:
    """Values of one width, with the nulls among them."""

    def __init__(self) -> None:
        self.rows = 0
        self.validity = Bits()
        self._hash = xxhash.xxh3_128()

    def feed(self, values: Array) -> None:
        """Values without nulls: one dimension, or two where each row is one value."""
        self.rows += len(values)
        self.validity.ones(len(values))
        self._values(values)

    def feed_masked(self, values: Array, valid: Array) -> None:
        """At most a window of values and, for each, 1 or 0 for null."""
        self.rows += len(values)
        self.validity.flags(valid)
        self._values(without_nulls(values, valid))

    def feed_nulls(self, values: Array, bits: Array, offset: int) -> None:
        """At most a window of values with the bitmap of those that are not null."""
        self.rows += len(values)
        self.validity.packed(bits, offset, len(values))
        self._values(without_nulls(values, unpacked(bits, offset, len(values))))

    def digest(self) -> bytes:
        """The digest of all that was fed."""
        return node("fixed", size(self.rows), self.validity.digest(), self._hash.digest())

    def _values(self, values: Array) -> None:
        kind = values.dtype
        if kind.kind not in "fc" and values.flags.c_contiguous and _is_little(kind):
            self._hash.update(values.reshape(-1).view(np.uint8).data)
            return
        for window in windows(len(values)):
            piece = np.ascontiguousarray(values[window], kind.newbyteorder("<"))
            self._hash.update(one_nan(piece.reshape(-1)).view(np.uint8).data)


def _is_little(kind: np.dtype[Any]) -> bool:
    return kind.newbyteorder("<") == kind


def without_nulls(values: Array, valid: Array) -> Array:
    """The values, with zeros in the place of nulls."""
    width = values.dtype.itemsize
    if values.dtype.kind == "c":
        return without_nulls(values.view(values.real.dtype).reshape(-1, 2), valid)
    mask = -valid.view(np.int8).astype(f"i{width}")  # all bits, or none: twice as fast as where()
    mask = mask.reshape(-1, *[1] * (values.ndim - 1))
    kept: Array = values.view(f"i{width}") & mask
    return kept.view(values.dtype)


def one_nan(values: Array) -> Array:
    """The values, with one and the same bits for every NaN."""
    if values.dtype.kind == "c":
        values = values.view(values.real.dtype)
    if values.dtype.kind != "f":
        return values
    nans = np.isnan(values)
    count = np.count_nonzero(nans)
    # Mostly there are none, or all are the usual one; a copy would take thrice the time.
    if not count or count == np.count_nonzero(_bits(values) == _bits(_NAN[values.dtype.itemsize])):
        return values
    return np.where(nans, _NAN[values.dtype.itemsize], values)


def _bits(values: Array) -> Array:
    return values.view(f"u{values.dtype.itemsize}")


_NAN = {width: np.array(np.nan, f"f{width}") for width in (2, 4, 8)}


class Lengths:
    """How long each value of a column is."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_128()
        self._seen = 0
        self._long = b""

    def feed(self, lengths: Array, total: int) -> None:
        """Lengths, and their sum."""
        if total >= _LONG:  # they may not fit into four bytes
            for row in np.flatnonzero(lengths >= _LONG):
                self._long += size(self._seen + int(row)) + size(int(lengths[row]))
            lengths = np.minimum(lengths, _LONG)
        self._seen += len(lengths)
        if lengths.dtype.itemsize == 4:
            lengths = lengths.view(np.uint32)  # the same bits: no length is negative
        self._hash.update(np.ascontiguousarray(lengths, "<u4").data)

    def digest(self) -> bytes:
        """The digest of all that was fed."""
        return node("lengths", size(self._seen), self._hash.digest(), self._long)
