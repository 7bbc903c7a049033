"""Makes our errors of PostgreSQL's, by SQLSTATE where the server gave one.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prefect_etl.errors import (
    AccessError,
    BusyError,
    ConfigError,
    DataError,
    EtlError,
    SchemaError,
    StorageError,
    UnreachableError,
)

if TYPE_CHECKING:
    import psycopg

_AGAIN = "Run again: nothing was published, and what was read is kept."
# By the first characters of the SQLSTATE; the longest match decides.
_BY_STATE: dict[str, tuple[type[EtlError], str]] = {
    "08": (UnreachableError, _AGAIN),
    "57P": (UnreachableError, _AGAIN),
    "53300": (UnreachableError, "The server has no connection left; run again later."),
    "53": (StorageError, "Give the server more disk or memory, then run again."),
    "28": (AccessError, "Check user and password, in the URI, ~/.pgpass or PGPASSWORD."),
    "42501": (AccessError, "Ask for the privilege, or use another user."),
    "25006": (ConfigError, "Connect to the primary: this server, or database, is read-only."),
    "3D000": (ConfigError, "Check the database's name in the URI."),
    "42P01": (ConfigError, "Check the table's name; `prefect-etl connections discover` lists all."),
    "42703": (ConfigError, "Check the column's name."),
    "42": (ConfigError, "Check the SQL and the names in it."),
    "22": (DataError, "A value does not fit; pin a type with types: or columns: {cast: …}."),
    "23": (DataError, "A constraint of the table refuses a row; mend the data or the table."),
    "40": (BusyError, _AGAIN),
    "57014": (BusyError, "Run again; a statement_timeout can be raised with options= in the URI."),
    "55P03": (BusyError, "Another session holds a lock on the table; run again later."),
    "0A": (SchemaError, "PostgreSQL cannot do that here."),
}
# Errors of libpq's own, made before the server gives codes.
_BY_TEXT: tuple[tuple[str, type[EtlError], str], ...] = (
    ("password authentication failed", *_BY_STATE["28"]),
    ("no password supplied", *_BY_STATE["28"]),
    ("no pg_hba.conf entry", AccessError, "The server lets nobody in from here as this user."),
    ("certificate", AccessError, "Check sslmode, sslrootcert and the name of the server."),
    ("SSL", AccessError, "Check sslmode: the server and the URI do not agree about TLS."),
    ('database "', ConfigError, "Check the database's name in the URI."),
    ('role "', AccessError, "Check the user's name in the URI."),
    ("invalid", ConfigError, "Check the URI of the connection."),
    ("definition of service", ConfigError, "Check service= and ~/.pg_service.conf."),
)
# Where the server says which column of a COPY it was.
_COPIED = re.compile(r"^COPY .*, line \d+, column ([^:\n]+)", re.MULTILINE)


def translate(error: psycopg.Error, what: str) -> EtlError:
    """One of our errors for one of psycopg's.

    Args:
        error: The driver's.
        what: What was done, or where, without secrets.
    """
    return fault(error.sqlstate, _said(error), what)


def fault(state: str | None, said: str, what: str) -> EtlError:
    """One of our errors for what the server, or libpq, said.

    Args:
        state: The SQLSTATE, where the server gave one.
        said: Its message, or libpq's.
        what: What was done, or where, without secrets.

    Example:
        >>> print(fault("42P01", 'relation "a" does not exist', "orders"))
        orders: relation "a" does not exist
        Check the table's name; `prefect-etl connections discover` lists all.
    """
    if state is not None:
        for length in (5, 3, 2):
            if state[:length] in _BY_STATE:
                kind, hint = _BY_STATE[state[:length]]
                return kind(f"{what}: {said}", hint=hint)
        return DataError(f"{what}: {said} (SQLSTATE {state})")
    for part, kind, hint in _BY_TEXT:
        if part in said:
            return kind(f"{what}: {said}", hint=hint)
    return UnreachableError(
        f"{what}: {said}", hint="Check that the server runs and can be reached, then run again."
    )


def _said(error: psycopg.Error) -> str:
    primary = error.diag.message_primary
    if primary:
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        copied = _COPIED.search(error.diag.context or "")
        where = f" in column {copied[1]}" if copied else ""
        return f"{primary}{where}{detail}"
    # What libpq only supposes is indented.
    lines = [line for line in str(error).splitlines() if line.strip() and not line[0].isspace()]
    return lines[-1].strip() if lines else type(error).__name__
