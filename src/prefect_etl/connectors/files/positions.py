"""Positions of units: the path of a file, or of a file and a part of it.

No listed path has ``//`` in it.
"""

from __future__ import annotations


def part_position(path: str, number: int) -> str:
    """The position of a part of a file, from 1.

    Example:
        >>> part_position("a.parquet", 1), part_position("a.parquet", 2)
        ('a.parquet', 'a.parquet//2')
    """
    return path if number == 1 else f"{path}//{number}"


def file_of(position: str) -> str:
    """The path of the file that a unit is, or is a part of.

    Example:
        >>> file_of("a.parquet//2"), file_of("a.parquet")
        ('a.parquet', 'a.parquet')
    """
    return position.partition("//")[0]
