"""SQL of a dataset's user that runs within a load: ``before`` and ``after``.

It may change tables as it likes, in the load's transaction. It may not end that transaction,
change the engine's settings, or reach for files, other databases or the network. Each statement is
rehearsed first; see :mod:`prefect_etl.connectors.duckdb.rehearsal`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from prefect_etl.connectors.duckdb.rehearsal import Rehearsal
from prefect_etl.connectors.duckdb.words import forbidden_word, unparsable, words_of
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

_ALLOWED = frozenset(
    ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "MERGE_INTO", "SELECT", "UPDATE", "VACUUM")
)
# What CREATE may make, and what may stand before it.
_MADE = frozenset(
    ("function", "index", "macro", "recursive", "schema", "sequence", "table", "type", "view")
)
_HOW = frozenset(("create", "or", "replace", "temp", "temporary", "unique"))
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

    if not statements:
        return
    with Rehearsal(cursor) as rehearsal:
        for sql in statements:
            try:
                _assert_allowed(cursor, rehearsal, sql, what)
                cursor.execute(sql).fetchall()
            except duckdb.InterruptException:
                raise
            except duckdb.Error as error:
                said = str(error).strip().splitlines()[0]
                raise ConfigError(
                    f"{what}: {sql!r} failed: {said}", hint="Nothing was published."
                ) from error


def _assert_allowed(
    cursor: duckdb.DuckDBPyConnection, rehearsal: Rehearsal, sql: str, what: str
) -> None:
    if (first := unparsable(sql)) is not None:
        raise ConfigError(f"{what}: {sql!r} is {first}, which is not allowed", hint=_HINT)
    for statement in cursor.extract_statements(sql):
        text, kind = statement.query, statement.type.name
        if kind not in _ALLOWED:
            raise ConfigError(f"{what}: {sql!r} is {kind}, which is not allowed", hint=_HINT)
        made = next((word for word in words_of(text) if word not in _HOW), "")
        if kind == "CREATE" and made not in _MADE:
            raise ConfigError(f"{what}: {sql!r} makes a {made}, which is not allowed", hint=_HINT)
        word = forbidden_word(text)
        if word is not None:
            raise ConfigError(f"{what}: {sql!r} uses {word}()", hint=_HINT)
        try:
            rehearsal.run(text, kind)
        except ConfigError as error:
            raise ConfigError(f"{what}: {sql!r}: {error.message}", hint=_HINT) from error
