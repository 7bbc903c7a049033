"""Finds out how bytes of a file are to be read as text; where that is unsure, it says so.

Valid UTF-8 always wins: text of another encoding is hardly ever valid UTF-8 by chance. Among the
others the one is taken in which the text is natural.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from prefect_etl.connectors.files.csv.letters import LATIN, naturalness
from prefect_etl.errors import SourceReadError

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ASIAN = ("shift_jis", "euc_jp", "gb18030")
_CANDIDATES = (*LATIN, "cp1251", *_ASIAN)
_SURE, _AHEAD = 0.75, 0.2
# By so much must another Latin encoding than the usual one be better: most letters are alike.
_BETTER = 0.05
# Fewer places beyond ASCII prove nothing; of Latin letters one within a word is enough to guess.
_PLACES, _GUESSED = 2, 0.6
# So few lines that are no UTF-8 are broken lines, not another encoding.
_BROKEN = 0.05
_HIGH = re.compile(rb"[\x80-\xff]+")
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
    if likely := _likely(head, whole=whole):
        return likely
    raise SourceReadError(
        f"{name} is no UTF-8 (byte 0x{head[bad]:02X} at {bad}), and what it is cannot be told",
        hint="Say it with encoding: cp1252, cp1250, cp850, iso8859-1, cp1251, shift_jis, gb18030, "
        "… are candidates.",
    )


def unsure_encoding(name: str) -> str:
    """What is said of an encoding that was guessed."""
    return f"its encoding seems to be {name}; say encoding: {name} to be sure"


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
    strange = all(naturalness(line, "cp1252").share < _SURE for line in bad)
    return strange and len(bad) <= _BROKEN * len(lines)


def _likely(head: bytes, *, whole: bool) -> Guess | None:
    """The encoding in which the text is natural; None where none is, or several are."""
    found = {name: naturalness(head, name, whole=whole) for name in _CANDIDATES}
    latin = max(LATIN, key=lambda name: found[name].share + (_BETTER if name == LATIN[0] else 0))
    shares = {latin: found[latin].share, "cp1251": found["cp1251"].share}
    shares |= {name: _asian_share(head, name, found[name].share) for name in _ASIAN}
    (best, chosen), (second, other) = sorted(
        ((share, name) for name, share in shares.items()), reverse=True
    )[:2]
    places = found[chosen].places
    # Without kana the bytes of both are pairs alike.
    if chosen == "gb18030" and _opinion(head, ("gb18030", "euc_jp")) == "euc_jp":
        return Guess("euc_jp", _GUESSED)
    if best < _SURE or places < (1 if chosen in LATIN else _PLACES):
        return None
    if best - second < _AHEAD:
        return Guess(chosen, _GUESSED) if _opinion(head, (chosen, other)) == chosen else None
    return Guess(chosen, _GUESSED if places < _PLACES else round(min(best, 0.95), 2))


def _asian_share(head: bytes, encoding: str, natural: float) -> float:
    """How much of a text is natural, and of the characters that most texts are made of."""
    high = sum(map(len, _HIGH.findall(head))) or 1
    usual = 1.0
    if encoding == "shift_jis":
        usual = sum(sum(b > 0x7F for b in pair) for pair in _JAPANESE.findall(head)) / high
    elif encoding == "gb18030":
        usual = 2 * len(_CHINESE.findall(head)) / high
    return min(1.0, usual) * natural


def _opinion(head: bytes, of: tuple[str, str]) -> str | None:
    """What another package thinks."""
    from charset_normalizer import from_bytes

    best = from_bytes(head[: 16 << 10], cp_isolation=list(of)).best()
    return None if best is None else codecs.lookup(best.encoding).name
