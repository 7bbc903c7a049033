"""The nearest right name for a wrong one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """A clause to put behind an error, empty where nothing is near.

    Example:
        >>> did_you_mean("exprot", ["export", "import"])
        '; did you mean export?'
        >>> did_you_mean("xyz", ["export"])
        ''
    """
    near = get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
