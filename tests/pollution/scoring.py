"""How right a reading of a polluted file is, by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pollutions import Case


@dataclass(frozen=True)
class Answer:
    """What a reader made of a file: columns and rows; why it refused; texts it put aside."""

    names: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    rejects: Sequence[str] = ()
    refused: str | None = None


def spelled(value: Any) -> str:
    """A value as the truth spells it, whatever its type."""
    if value is None or value != value:  # noqa: PLR0124 - as pandas writes null
        return ""
    if isinstance(value, datetime):
        midnight = value.time() == datetime.min.time()
        return value.date().isoformat() if midnight else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    text = str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return f"{number.normalize():f}" if number.is_finite() else text


def score(case: Case, answer: Answer) -> float:
    """The harmonic mean of precision and recall of cells; a file without rows is right or wrong."""
    if answer.refused is not None:
        return 0.0
    wanted, found = _cells(case.rows), _cells(answer.rows)
    if case.names is not None:
        wanted += Counter({("names", str(n), name): 1 for n, name in enumerate(case.names)})
        found += Counter({("names", str(n), name): 1 for n, name in enumerate(answer.names)})
    if not wanted and not found:
        return 1.0
    right = sum((wanted & found).values())
    return 2 * right / (sum(wanted.values()) + sum(found.values()))


def _cells(rows: Iterable[Sequence[Any]]) -> Counter[tuple[str, str, str]]:
    return Counter(
        (spelled(row[0]), str(n), spelled(value)) for row in rows for n, value in enumerate(row)
    )


def lost(case: Case, answer: Answer) -> list[str]:
    """Records that are neither rows nor among the rejects; none, where the file is refused."""
    if answer.refused is not None:
        return []
    there = " ".join(spelled(value) for row in (answer.names, *answer.rows) for value in row)
    there += " ".join(answer.rejects)
    return [key for key in (*case.bad, *(row[0] for row in case.rows)) if key not in there]


def bad_rows_loaded(case: Case, answer: Answer) -> list[str]:
    """Bad records that were taken for rows, and not as they stand.

    Where the only quotes of a file are those of a bad record, they may be taken for text.
    """
    sign = case.layout.quote if case.layout is not None else ""
    as_it_stands = f"{sign}a{sign} b"
    loaded = {spelled(row[0]): [spelled(value) for value in row] for row in answer.rows}
    return [key for key in case.bad if key in loaded and as_it_stands not in loaded[key]]
