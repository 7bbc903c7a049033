"""The words of a statement, as DuckDB's own lexer finds them, and which of them lead outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise

# Table functions that make rows from their arguments alone. All others may read anything.
PURE = frozenset(
    {
        "generate_series",
        "generate_subscripts",
        "json_each",
        "json_tree",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
# Scalar functions that tell of the process, or write to its log.
TELLING = frozenset(("current_setting", "getenv", "getvariable", "write_log"))
# A token, without the blanks and comments that the lexer leaves behind it.
_TOKEN = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | \$(\w*)\$.*?\$\1\$ | (?:(?!--|/\*)\S)*""",
    re.VERBOSE | re.DOTALL,
)


def forbidden_word(sql: str) -> str | None:
    """A function that a statement calls and that may reach outside; None where there is none."""
    forbidden = _reaching()
    return next((w for w, after in called(sql) if w in forbidden and after == "("), None)


def unparsable(sql: str) -> str | None:
    """The first word of a statement that DuckDB turns into others while it parses, if any.

    It reads the files of an IMPORT then.

    Example:
        >>> unparsable("SELECT 1; /* x */ IMPORT DATABASE 'x'")
        'IMPORT'
    """
    words = [";", *words_of(sql)]
    starts = (word for before, word in pairwise(words) if before == ";")
    return next((word.upper() for word in starts if word in ("import", "pragma")), None)


def called(sql: str) -> Iterator[tuple[str, str]]:
    """Each word with the next one, in small letters and without quotes.

    Example:
        >>> list(called('SELECT "Getenv" /* x */ (1)'))[1]
        ('getenv', '(')
    """
    words = [*words_of(sql), ""]
    for word, after in pairwise(words):
        yield word.strip("\"'"), after[:1]


def words_of(sql: str) -> list[str]:
    """The words of a text in small letters, without comments."""
    import duckdb

    starts = [start for start, _ in duckdb.tokenize(sql)]
    found = (_TOKEN.match(sql[start:end]) for start, end in pairwise([*starts, len(sql)]))
    return [match[0].casefold() for match in found if match]


@cache
def _reaching() -> frozenset[str]:
    import duckdb

    # An engine of its own: the list is long, and always the same.
    with duckdb.connect(config={"threads": 1}) as connection:
        found = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE function_type IN ('table', 'pragma') AND internal"
        ).fetchall()
    return (frozenset(name for (name,) in found) - PURE) | TELLING
