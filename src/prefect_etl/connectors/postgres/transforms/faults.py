"""What PostgreSQL says of a user's SQL, in our errors, with the place in the text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect_etl.connectors.postgres.faults import translate
from prefect_etl.errors import ConfigError, DataError, EtlError

if TYPE_CHECKING:
    import psycopg

# read_only_sql_transaction; active_sql_transaction, where it is to write after all;
# feature_not_supported, as of what no view may have in it.
_WRITES = ("25006", "25001", "0A000")
_SHOWN_CHARACTERS = 200
_DEPENDS = "2BP01"  # dependent_objects_still_exist


@contextmanager
def of_user(statement: str) -> Iterator[None]:
    """Make our errors of those that a user's SQL causes.

    Args:
        statement: What is run: a line of ours, and from the second line on the user's text.

    Raises:
        ConfigError: The text is wrong, or would write.
        DataError: A value does not fit.
        EtlError: Anything else, as it always is.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        found = translate(error, "the SQL")
        kind, hint = type(found), found.hint
        if error.sqlstate in _WRITES:
            kind, hint = ConfigError, "A transformation only reads; its result is all it makes."
        elif kind is ConfigError:
            hint = "Correct it; names without quotes are taken in lower case."
        elif kind is DataError:
            hint = "Mend the SQL, for example with a CASE around the value, or what it reads."
        raise kind(f"{found.message}{_place(error, statement)}", hint=hint) from error


def of_dependents(error: psycopg.Error, what: str) -> EtlError | None:
    """An error that names what depends on a table or view; None where it is another one."""
    if error.sqlstate != _DEPENDS:
        return None
    return ConfigError(
        f"{what}: {error.diag.message_primary} ({error.diag.message_detail})",
        hint="Drop what depends on it, keep its columns, or give the transformation another table.",
    )


def _place(error: psycopg.Error, statement: str) -> str:
    """The line of the user's text in question; the statement's first line is ours."""
    position = error.diag.statement_position
    if position is None:
        return ""
    number = statement.count("\n", 0, int(position) - 1)
    line = statement.split("\n")[number].strip()
    line = line if len(line) <= _SHOWN_CHARACTERS else f"{line[: _SHOWN_CHARACTERS - 1]}…"
    return f"\nLINE {number}: {line}" if number else ""
