"""How natural the letters are that the bytes of a text become in an encoding.

A wrong encoding shows by letters that no language has together, by signs and capitals within words,
and by characters that stand where words would: ``MÃ¼ller``, ``K”ln``, ``ÐœÐ¾ÑÐºÐ²Ð°``.
"""

# ruff: noqa: RUF001  # letters that look alike are the point

from __future__ import annotations

import codecs
import re
from collections import Counter
from dataclasses import dataclass

_WESTERN = (
    "äöüß",
    "àâæçéèêëîïôœùûüñ",
    "áéíóúñüªº",
    "àèéìíòóùúî",
    "ãáâàçéêíóôõúü",
    "åäöæøéüè",
    "ëïéüöáèóíú",
)
# Letters of languages that share an encoding; who uses another one is written in it.
_ALPHABETS = {
    "cp1252": _WESTERN,
    "cp850": _WESTERN,
    "cp1250": ("áčďéěíňóřšťúůýžäľĺŕôöü", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž"),
    "cp1254": ("çğıöşüâîûi̇",),
}
LATIN = tuple(_ALPHABETS)
_SIGNS = frozenset("€£°«»©®§½¿¡·\u00a0…‘’“”„–—•²³´")
# Signs that words have, too.
_WITHIN = frozenset("’‘´·–—")
_RUN = re.compile(r"[^\x00-\x7f]+")
# Enough to know; a head may have a million.
_MOST = 5_000
_CYRILLIC = re.compile(r"[А-ЯЁІЇЄҐЎ]?[а-яёіїєґў]+|[А-ЯЁІЇЄҐЎ]+")
_WORD = re.compile(r"[^\W\d_]+")
_KANA = re.compile(r"[\u3040-\u30ff]")
_ASIAN = re.compile(r"[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff60]")


@dataclass(frozen=True, slots=True)
class Naturalness:
    """How natural a text is.

    Attributes:
        share: Of what is beyond ASCII, the natural part, from 0 to 1.
        places: How often it stands in a word, where it proves something.
    """

    share: float
    places: int


NONE = Naturalness(0.0, 0)


def naturalness(data: bytes, encoding: str, *, whole: bool = True) -> Naturalness:
    """How natural bytes are in an encoding; not at all where they are impossible in it.

    Args:
        data: Text with bytes beyond ASCII.
        encoding: One of :data:`LATIN`, ``cp1251``, ``shift_jis``, ``euc_jp`` or ``gb18030``.
        whole: Whether the text ends where the bytes do.

    Example:
        >>> data = "Müller, Köln".encode("cp850")
        >>> naturalness(data, "cp850")
        Naturalness(share=1.0, places=2)
        >>> naturalness(data, "cp1252")
        Naturalness(share=0.0, places=0)
    """
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return NONE
    if encoding == "cp1251":
        return _cyrillic(text)
    if encoding in _ALPHABETS:
        return _latin(text, _ALPHABETS[encoding])
    return _asian(text, kana=encoding == "euc_jp")


def _latin(text: str, alphabets: tuple[str, ...]) -> Naturalness:
    letters: Counter[str] = Counter()
    odd = signs = places = 0
    for index, found in enumerate(_RUN.finditer(text)):
        if index == _MOST:
            break
        run, before, after = found[0], text[found.start() - 1 : found.start()], _at(text, found)
        within = before.isalpha() and after.isalpha()
        wrong = len(run) > 2 and not _SIGNS.issuperset(run)
        for char in run:
            if wrong or (char.isupper() and before.islower()):
                odd += 1
            elif char.isalpha():
                letters[char.lower()] += 1
                places += before.isalpha() or after.isalpha()
            elif char not in _SIGNS or (within and char not in _WITHIN):
                odd += 1
            else:
                signs += 1
    total = letters.total() + signs + odd
    best = max(sum(n for c, n in letters.items() if c in alphabet) for alphabet in alphabets)
    # Signs prove less than letters do.
    return Naturalness((best + signs) / (total or 1), places + signs // 2)


def _at(text: str, found: re.Match[str]) -> str:
    return text[found.end() : found.end() + 1]


def _cyrillic(text: str) -> Naturalness:
    beyond = sum(not char.isascii() and char not in _SIGNS for char in text)
    words = [word for word in _WORD.findall(text) if not word.isascii() and len(word) > 1]
    natural = [word for word in words if _CYRILLIC.fullmatch(word)]
    alone = sum(len(w) == 1 and _CYRILLIC.fullmatch(w) is not None for w in _WORD.findall(text))
    return Naturalness((sum(map(len, natural)) + alone) / (beyond or 1), len(natural))


def _asian(text: str, *, kana: bool) -> Naturalness:
    """Of Chinese and Japanese: no character of them stands alone between Latin letters."""
    natural = beyond = places = 0
    for index, found in enumerate(_RUN.finditer(text)):
        if index == _MOST:
            break
        beyond += len(found[0])
        before, after = text[found.start() - 1 : found.start()], _at(text, found)
        if before.isalpha() and after.isalpha():
            continue
        natural += len(_ASIAN.findall(found[0]))
        places += 1
    # The bytes of Chinese can be kanji, but hardly without any kana.
    if not beyond or (kana and len(_KANA.findall(text)) * 8 < beyond):
        return NONE
    return Naturalness(natural / beyond, places)
