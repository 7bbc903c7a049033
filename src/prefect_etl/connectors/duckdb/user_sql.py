"""SQL of a dataset's user that runs within a load: ``before`` and ``after``.

It may change tables as it likes, in the load's transaction. It may not end that transaction,
change the engine's settings, or reach for files, other databases or the network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from prefect_etl.connectors.duckdb.select import LOOKS_LIKE_FILE, PURE, TELLING
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

_ALLOWED = frozenset(
    ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "MERGE_INTO", "SELECT", "UPDATE", "VACUUM")
)
_HINT = "before and after change tables of the destination; files become tables as datasets."


def run_user_sql(cursor: duckdb.DuckDBPyConnection, statements: Sequence[str], what: str) -> None:
    """Run statements in the open transaction.

    Args:
        cursor: In a transaction on the destination.
        statements: As the user wrote them.
        what: Whose they are, for the error.

    Raises:
        ConfigError: One is not allowed, or fails.
    """
    import duckdb

    for sql in statements:
        try:
            _assert_allowed(cursor, sql, what)
            cursor.execute(sql).fetchall()
        except duckdb.InterruptException:
            raise
        except duckdb.Error as error:
            said = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"{what}: {sql!r} failed: {said}", hint="Nothing was published."
            ) from error


def _assert_allowed(cursor: duckdb.DuckDBPyConnection, sql: str, what: str) -> None:
    for statement in cursor.extract_statements(sql):
        kind = statement.type.name
        if kind not in _ALLOWED:
            raise ConfigError(f"{what}: {sql!r} is {kind}, which is not allowed", hint=_HINT)
    forbidden = _table_functions(cursor) - PURE | TELLING
    # A comment may stand between a function's name and its parenthesis.
    commented = "--" in sql or "/*" in sql
    for before, word, after in _words(sql):
        name = word.strip("'\"")
        if name in forbidden and (after == "(" or commented):
            raise ConfigError(f"{what}: {sql!r} uses {name}()", hint=_HINT)
        quoted = word[0] == "'" or (word[0] == '"' and LOOKS_LIKE_FILE.search(name))
        if (quoted and before in ("from", "join")) or (before == "create" and word == "secret"):
            raise ConfigError(f"{what}: {sql!r} reads {word}", hint=_HINT)


def _table_functions(cursor: duckdb.DuckDBPyConnection) -> frozenset[str]:
    found = cursor.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() "
        "WHERE function_type IN ('table', 'pragma') AND internal"
    ).fetchall()
    return frozenset(name for (name,) in found)


def _words(sql: str) -> Iterator[tuple[str, str, str]]:
    """Each word of a text with its neighbours, in small letters."""
    import duckdb

    starts = [start for start, _ in duckdb.tokenize(sql)]
    words = [sql[start:end].strip().casefold() for start, end in pairwise([*starts, len(sql)])]
    padded = ["", *(word for word in words if word), ""]
    yield from zip(padded, padded[1:], padded[2:], strict=False)
