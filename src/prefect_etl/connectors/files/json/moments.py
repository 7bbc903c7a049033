"""Whether a text is a date, a time or another value that JSON has no spelling of its own for."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from prefect_etl.core.sql import literal

if TYPE_CHECKING:
    import duckdb

# Types whose values are texts in JSON.
_TEXTUAL = re.compile(r"DATE|TIME.*|INTERVAL|UUID|BLOB|BIT|ENUM.*")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,6})?")


def is_textual(spelled: str) -> bool:
    """Whether values of a type are texts.

    Example:
        >>> is_textual("TIMESTAMP WITH TIME ZONE"), is_textual("DECIMAL(4,2)")
        (True, False)
    """
    return _TEXTUAL.fullmatch(spelled) is not None


def is_value_of(text: str, spelled: str) -> bool:
    """Whether a text is a value of a type, as the engine has it.

    Example:
        >>> is_value_of("2024-02-29", "DATE"), is_value_of("31/31/2024", "DATE")
        (True, False)
    """
    usual = {"DATE": _DAY, "TIMESTAMP": _MOMENT}.get(spelled)
    if usual is not None and usual.fullmatch(text):
        try:
            return datetime.fromisoformat(text) is not None
        except ValueError:
            return False
    return _asked(text, spelled)


@lru_cache(1 << 16)
def _asked(text: str, spelled: str) -> bool:
    if "\0" in text:
        return False
    with _engine().cursor() as cursor:
        row = cursor.execute(f"SELECT TRY_CAST({literal(text)} AS {spelled}) IS NOT NULL")
        return row.fetchone() == (True,)


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"threads": 1, "memory_limit": "64MB"})
