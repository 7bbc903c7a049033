"""Finds out how bytes of a file are to be read as text; where that is unsure, it says so.

Valid UTF-8 always wins: text of another encoding is hardly ever valid UTF-8 by chance. Among the
others the one is taken whose usual characters explain nearly all bytes beyond ASCII.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from prefect_etl.errors import SourceReadError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CANDIDATES = ("cp1252", "shift_jis", "gb18030")
_SURE, _AHEAD = 0.75, 0.2
# Fewer places beyond ASCII prove nothing.
_PLACES = 2
# So few lines that are no UTF-8 are broken lines, not another encoding.
_BROKEN = 0.05
_HIGH = re.compile(rb"[\x80-\xff]+")
# Letters of Western languages and signs that their texts have; seldom more than two together.
_LATIN = frozenset(
    "àáâãäåæçèéêëìíîïñòóôõöøùúûüýÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßœŒ€£°«»©®§½¿¡·\u00a0".encode("cp1252")
    + b"\x85\x91\x92\x93\x94\x96\x97"  # dots, quotes and dashes
)
# Pairs of bytes that most characters of a text are: kana and the first level of kanji; hanzi.
_JAPANESE = re.compile(rb"(?:[\x81-\x83][\x40-\xfc]|[\x88-\x97][\x40-\xfc])")
_CHINESE = re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe]|[\xa1\xa3][\xa1-\xfe])")


@dataclass(frozen=True, slots=True)
class Guess:
    """An encoding, as Python names it, and how sure it is, from 0 to 1."""

    name: str
    confidence: float


def known_encoding(name: str) -> str:
    """The name of an encoding that a user gave.

    Raises:
        SourceReadError: There is none of this name.

    Example:
        >>> known_encoding("Latin1")
        'iso8859-1'
    """
    try:
        found = codecs.lookup(name).name
        "a".encode(found)
    except (LookupError, UnicodeError) as error:
        raise SourceReadError(
            f"{name} is no encoding",
            hint="Say one that Python knows: utf-8, utf-16, cp1252, shift_jis, gb18030, …",
        ) from error
    return found.removesuffix("-sig")


def encoding_of(head: bytes, *, whole: bool, name: str) -> Guess:
    r"""The encoding of a file.

    Args:
        head: Its first bytes.
        whole: Whether they are all.
        name: Of the file, for errors.

    Raises:
        SourceReadError: It cannot be told.

    Example:
        >>> encoding_of("Zürich,Malmö\n".encode("cp1252"), whole=True, name="a.csv").name
        'cp1252'
        >>> encoding_of("Zürich\n".encode(), whole=True, name="a.csv")
        Guess(name='utf-8', confidence=1.0)
    """
    for bom, found in _BOMS:
        if head.startswith(bom):
            return Guess(found, 1.0)
    if head and not head.strip(b"\0"):
        raise SourceReadError(
            f"{name} holds nothing but NUL bytes",
            hint="It was probably not written to its end: fetch it again, or remove it.",
        )
    if wide := _wide(head):
        return Guess(wide, 0.95)
    bad = first_invalid(head, whole=whole)
    if bad is None:
        return Guess("utf-8", 1.0)
    if _is_broken_utf8(head):
        return Guess("utf-8", 0.8)
    scores = sorted(((_score(head, c, whole=whole), c) for c in _CANDIDATES), reverse=True)
    (best, chosen), (second, other) = scores[:2]
    proven = len(_HIGH.findall(head)) >= _PLACES
    if proven and best >= _SURE and best - second >= _AHEAD:
        return Guess(chosen, round(min(best, 0.95), 2))
    opinion = _opinion(head) if proven else None
    if opinion in (chosen, other) and best >= _SURE:
        return Guess(opinion, 0.6)
    raise SourceReadError(
        f"{name} is no UTF-8 (byte 0x{head[bad]:02X} at {bad}), and what it is cannot be told",
        hint=f"Say it with encoding: {', '.join(_CANDIDATES)}, iso8859-1, … are candidates.",
    )


def first_invalid(data: bytes, *, whole: bool) -> int | None:
    r"""The place of the first byte that is no UTF-8; a character that is cut off at the end is.

    Example:
        >>> first_invalid(b"ab\xff", whole=True), first_invalid("ä".encode()[:1], whole=False)
        (2, None)
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        decoder.decode(data, final=whole)
    except UnicodeDecodeError as error:
        return error.start
    return None


def _wide(head: bytes) -> str | None:
    """UTF-16 without a mark: every second byte of most characters is zero."""
    pairs = len(head) // 2
    even, odd = head[: pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    # A line of letters that are not Latin still has delimiters, digits and a line end.
    if pairs and odd * 5 > pairs and even * 20 <= odd:
        return "utf-16-le"
    if pairs and even * 5 > pairs and odd * 20 <= even:
        return "utf-16-be"
    return None


def _is_broken_utf8(head: bytes) -> bool:
    """Whether it is UTF-8 but for a few lines."""
    lines = head.splitlines()
    bad = [line for line in lines if first_invalid(line, whole=True) is not None]
    high = [line for line in lines if not line.isascii()]
    if 2 * len(bad) < len(high):
        return True
    strange = all(_score(line, "cp1252", whole=True) < _SURE for line in bad)
    return strange and len(bad) <= _BROKEN * len(lines)


def _score(head: bytes, encoding: str, *, whole: bool) -> float:
    """How much of what is beyond ASCII is usual in an encoding; 0 where it is not possible."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError:
        return 0.0
    runs = _HIGH.findall(head)
    high = sum(map(len, runs))
    if not high:
        return 0.0
    if encoding == "cp1252":
        return sum(byte in _LATIN for run in runs if len(run) <= 2 for byte in run) / high
    if encoding == "shift_jis":
        return min(1.0, sum(sum(b > 0x7F for b in p) for p in _JAPANESE.findall(head)) / high)
    return min(1.0, 2 * len(_CHINESE.findall(head)) / high)


def _opinion(head: bytes) -> str | None:
    """What another package thinks."""
    from charset_normalizer import from_bytes

    best = from_bytes(head[: 16 << 10], cp_isolation=list(_CANDIDATES)).best()
    return None if best is None else codecs.lookup(best.encoding).name
