"""Tells in a moment whether the engine's reader of JSON can be trusted with a file.

DuckDB's reader is strict but for what is looked for here: it takes commas at the end, NaN and
Infinity, records that are null, and other white space; it rounds long numbers; it falls when lists
are nested a hundred thousand deep. All tests are by bytes and err to the safe side: a file that is
not trusted is read with care, which takes longer and comes to the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from prefect_etl.connectors.files.json.exact import MOST_DEPTH
from prefect_etl.connectors.files.json.numbers import is_64_bits, is_double


class Trust(Enum):
    """Whether a file can be left to the engine's reader."""

    FULL = "full"
    # As long as no integer of more than 53 bits is in a column of DOUBLE.
    NO_DOUBLES = "no doubles"
    NONE = "none"


# A byte for all that numbers are made of, one for signs, one for exponents, and nothing for white
# space: a long number is a long run.
_DIGITS = bytes(
    b"0"[0] if c in b"0123456789." else b"e"[0] if c in b"eE" else b"-"[0] if c in b"+-" else c
    for c in range(256)
)
_RUN = b"0" * 16
_FAR = re.compile(rb"0e-?000")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_EXPONENT = re.compile(rb"[eE][+-]?[0-9]{3,}[\s,\]}]")
# Only what tells commas at the end, NaN, Infinity and null records: signs after which a value can
# stand as one, brackets that close as one, and of words the letters by which they begin.
_KEPT = {b",": b",", b":[-": b"-", b"]}": b"}", b"nN": b"n", b"aA": b"a", b"iI": b"i"}
_FOLDED = bytes(
    next((new[0] for old, new in _KEPT.items() if char in old), char) for char in range(256)
)
_LEFT_OUT = b" \t\r_./" + bytes(c for c in b"bcdeghjklmopqrsuvwxyz") + bytes(range(128, 256))
_BRACKETS = bytes(c for c in range(256) if c not in b"[]{}")
_EXACT = 1 << 53
_BREAK, _COMMA, _DIGIT, _CLOSING, _A, _E, _I, _N = b"\n,0}aein"


def trust(chunks: Iterable[bytes], *, lines: bool) -> Trust:
    """How far the engine's reader can be trusted with a file.

    Args:
        chunks: Its bytes.
        lines: Whether each line is a record.

    Example:
        >>> trust([b'{"n": 1}', b'{"n": 0.1234567890123456789}'], lines=True).name
        'NONE'
    """
    found = Trust.FULL
    depth = _Depth(lines)
    for first, chunk in _at_breaks(chunks, lines=lines):
        if _is_odd(chunk, first=first, lines=lines) or not depth.fits(chunk):
            return Trust.NONE
        numbers = _numbers(chunk)
        if numbers is Trust.NONE:
            return numbers
        found = found if numbers is Trust.FULL else numbers
    return found


def trust_whole(document: bytes) -> Trust:
    """The same for a document that is all there, but for how deep it is nested."""
    odd = _is_odd(document, first=True, lines=False)
    return Trust.NONE if odd else _numbers(document)


def _at_breaks(chunks: Iterable[bytes], *, lines: bool) -> Iterator[tuple[bool, bytes]]:
    """The same bytes in pieces that end where no token does; with whether it is the first."""
    rest, first = b"", True
    for chunk in chunks:
        whole = rest + chunk
        cut = max(whole.rfind(b"\n"), -1 if lines else whole.rfind(b","))
        if cut < 0:
            rest = whole
            continue
        yield first, whole[:cut]
        rest, first = whole[cut:], False
    yield first, rest


def _is_odd(chunk: bytes, *, first: bool, lines: bool) -> bool:
    import numpy as np

    if b"\f" in chunk or b"\v" in chunk:
        return True
    left_out = _LEFT_OUT if lines else _LEFT_OUT + b"\n"
    signs = np.frombuffer(b"\n\n" + chunk.translate(_FOLDED, left_out) + b"\n", np.uint8)
    now, after = signs[:-2], signs[1:-1]
    if bool(np.any((now == _COMMA) & (after == _CLOSING))):
        return True
    word = (after == _I) | ((after == _N) & (signs[2:] == _A))
    if bool(np.any(word & ((now | 1) == _COMMA | 1))):
        return True
    if lines:
        return bool(np.any((now == _BREAK) & (after == _N)))
    dense = chunk.translate(None, b" \t\r\n")
    null = b"},null" in dense or b"null,{" in dense
    return null or (first and dense.startswith((b"null", b"[null")))


class _Depth:
    """Bounds how deep values are nested, by pairs of brackets that are taken away."""

    def __init__(self, lines: bool) -> None:
        self._lines = lines
        self._open = b""

    def fits(self, chunk: bytes) -> bool:
        left = self._open + chunk.translate(None, _BRACKETS)
        rounds = 0
        while left and rounds < MOST_DEPTH:
            less = left.replace(b"{}", b"").replace(b"[]", b"")
            if len(less) == len(left):
                break
            left, rounds = less, rounds + 1
        if not self._lines:
            self._open = left
        if rounds + left.count(b"{") + left.count(b"[") < MOST_DEPTH:
            return True
        # Brackets in texts stand in the way. Lines with few of them are not nested deep.
        return self._lines and all(
            line.count(b"{") + line.count(b"[") < MOST_DEPTH for line in chunk.split(b"\n")
        )


def _numbers(chunk: bytes) -> Trust:
    runs = chunk.translate(_DIGITS)
    if _FAR.search(runs) and _EXPONENT.search(chunk):
        return Trust.NONE
    return _long_numbers(chunk, runs) if _RUN in runs else Trust.FULL


def _long_numbers(chunk: bytes, runs: bytes) -> Trust:
    import numpy as np

    digits = np.frombuffer(b" " + runs + b" ", np.uint8) == _DIGIT
    edges = np.flatnonzero(digits[1:] != digits[:-1])
    starts, ends = edges[::2], edges[1::2]
    long = ends - starts >= len(_RUN)
    found = Trust.FULL
    for start, end in _inexact(chunk, starts[long], ends[long]):
        token = _NUMBER.match(chunk, start - (chunk[start - 1 : start] == b"-"))
        if token is None or token.end() < end:
            continue  # part of a text
        text = token[0].decode()
        whole = end - start == len(text.lstrip("-")) and "." not in text
        if not (is_64_bits(text) if whole else is_double(text)):
            return Trust.NONE
        if whole and abs(int(text)) > _EXACT:
            found = Trust.NO_DOUBLES
    return found


def _inexact(chunk: bytes, starts: Any, ends: Any) -> Iterator[tuple[int, int]]:
    """Of long runs of digits those that are not the text that a DOUBLE is usually written as."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    offsets = np.stack([starts, ends], axis=1).reshape(-1).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(chunk)]
    pieces = pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)
    texts = pieces.take(np.arange(0, len(offsets), 2)).cast(pa.string())
    plain = pc.match_substring_regex(texts, r"^\d+\.\d+$")
    numbers = pc.if_else(plain, texts, "0").cast(pa.float64())
    same = pc.and_(plain, pc.equal(numbers.cast(pa.string()), texts)).to_numpy(False)
    after = np.frombuffer(chunk + b" ", np.uint8)[ends] | 0x20
    rest = np.flatnonzero(~same | (after == _E))
    yield from zip(starts[rest].tolist(), ends[rest].tolist(), strict=True)
