"""Numbers of JSON, whose text says more than a DOUBLE can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite

# Decimals of so many digits come back from a DOUBLE as they were (IEEE 754 binary64).
_EXACT_DIGITS = 15
# What DECIMAL and HUGEINT hold.
MOST_DIGITS = 38
_BIGINT, _UBIGINT = 1 << 63, 1 << 64
# An exponent of more digits fits nothing; it is not computed with.
_EXPONENT = re.compile(r"[eE][+-]?0*(\d*)$")
_FAR = 999


class Number(str):
    """A number by its text."""

    __slots__ = ()

    @property
    def whole(self) -> bool:
        """Whether it is written as an integer."""
        return not any(sign in self for sign in ".eE")


@dataclass(slots=True)
class Digits:
    """What numbers at one place of the records need to be held.

    Attributes:
        before: Digits before the point, at most.
        after: And behind it.
        long: Whether an integer does not fit 64 bits.
        inexact: Whether one would be rounded as a DOUBLE.
    """

    before: int = 1
    after: int = 0
    long: bool = False
    inexact: bool = False

    def add(self, number: Number) -> None:
        """Take note of a number."""
        before, after = digits_of(number)
        self.before, self.after = max(self.before, before), max(self.after, after)
        if before + after > _EXACT_DIGITS or "e" in number or "E" in number:
            self.inexact = self.inexact or not is_double(number)
            self.long = self.long or (number.whole and not is_64_bits(number))

    def type_for(self, found: str) -> str:
        """The type that holds all of them, where numbers of 64 bits would have ``found``.

        Example:
            >>> digits = Digits()
            >>> for text in ("1", "123456789012345678901234567890"):
            ...     digits.add(Number(text))
            >>> digits.type_for("BIGINT")
            'HUGEINT'
            >>> digits.add(Number("0.25"))
            >>> digits.type_for("DOUBLE")
            'DECIMAL(32,2)'
        """
        if found in ("BIGINT", "UBIGINT", "HUGEINT"):
            if not self.long:
                return found
            return "HUGEINT" if self.before <= MOST_DIGITS else "VARCHAR"
        if found != "DOUBLE" or not self.inexact:
            return found
        digits = self.before + self.after
        return f"DECIMAL({digits},{self.after})" if digits <= MOST_DIGITS else "VARCHAR"


def digits_of(number: Number) -> tuple[int, int]:
    """Digits before and behind the point.

    Example:
        >>> digits_of(Number("-12.50")), digits_of(Number("1.5e3")), digits_of(Number("1e-2"))
        ((2, 2), (4, 0), (1, 2))
    """
    exponent = _EXPONENT.search(number)
    if exponent is None:
        whole, _, fraction = number.lstrip("-").partition(".")
        return len(whole), len(fraction)
    if len(exponent[1]) > 4:
        return _FAR, _FAR
    parts = Decimal(number).as_tuple()
    digits, power = parts.digits, int(parts.exponent)
    return max(len(digits) + power, 1), max(-power, 0)


def is_double(number: str) -> bool:
    """Whether a DOUBLE gives the number back.

    Example:
        >>> is_double("0.30000000000000004"), is_double("0.3000000000000000444"), is_double("1e400")
        (True, False, False)
    """
    near = float(number)
    if not isfinite(near):
        return False
    if repr(near) == number:
        return True
    exponent = _EXPONENT.search(number)
    if exponent is not None and len(exponent[1]) > 4:
        return False
    return Decimal(repr(near)) == Decimal(number)


def is_64_bits(number: str) -> bool:
    """Whether an integer fits BIGINT or UBIGINT.

    Example:
        >>> is_64_bits("18446744073709551615"), is_64_bits("-9223372036854775809")
        (True, False)
    """
    if len(number) > len(str(_UBIGINT)):
        return False
    return -_BIGINT <= int(number) < _UBIGINT


def plainly(number: Number) -> str:
    """A number without an exponent, as every type of numbers can be read from it."""
    return format(Decimal(number), "f") if "e" in number or "E" in number else str(number)
