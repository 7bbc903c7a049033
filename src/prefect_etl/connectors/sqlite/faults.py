"""Makes our errors of SQLite's, by its result codes.

Codes: https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3

from prefect_etl.errors import BusyError, ConfigError, DataError, EtlError, StorageError

_WAIT = (
    "Another process writes to the file, or reads while it is no WAL file; run again, or wait "
    "longer: PREFECT_ETL_LOCK_TIMEOUT."
)
_DAMAGED = "Restore the file from a backup, or name another one."
_DISK = "Check that the file and its folder may be written and the disk is not full; run again."
_BY_CODE: dict[int, tuple[type[EtlError], str]] = {
    sqlite3.SQLITE_BUSY: (BusyError, _WAIT),
    sqlite3.SQLITE_LOCKED: (BusyError, _WAIT),
    sqlite3.SQLITE_CONSTRAINT: (
        DataError,
        "Nothing was published. Mend the rows, put them aside with a contract, or drop it.",
    ),
    sqlite3.SQLITE_MISMATCH: (DataError, "Pin another type with types: or columns: {cast: …}."),
    sqlite3.SQLITE_TOOBIG: (DataError, "SQLite holds no value of more than 1 GB."),
    sqlite3.SQLITE_CORRUPT: (StorageError, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (StorageError, _DAMAGED),
    sqlite3.SQLITE_FULL: (StorageError, "Free disk space and run again; nothing was published."),
    sqlite3.SQLITE_CANTOPEN: (StorageError, _DISK),
    sqlite3.SQLITE_READONLY: (StorageError, _DISK),
    sqlite3.SQLITE_IOERR: (StorageError, _DISK),
    sqlite3.SQLITE_PERM: (StorageError, _DISK),
    sqlite3.SQLITE_AUTH: (
        ConfigError,
        "SQL of a dataset changes tables; it may not end the transaction or open other files.",
    ),
    sqlite3.SQLITE_ERROR: (ConfigError, "Check the SQL and the names in it."),
}


def translate(error: sqlite3.Error, what: str) -> EtlError:
    """One of our errors for one of SQLite's.

    Args:
        error: The driver's.
        what: What was done, or where.

    Example:
        >>> print(translate(sqlite3.OperationalError("no such table: a"), "orders"))
        orders: no such table: a
        Check the SQL and the names in it.
    """
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    kind, hint = _BY_CODE.get(code, (DataError, "Check the table and its rows."))
    return kind(f"{what}: {error}", hint=hint)


def is_interrupt(error: BaseException) -> bool:
    """Whether a statement was stopped by :meth:`sqlite3.Connection.interrupt`."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code == sqlite3.SQLITE_INTERRUPT
