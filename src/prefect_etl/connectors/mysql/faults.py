"""Makes our errors of MySQL's and MariaDB's, by their numbers.

Numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
"""

from __future__ import annotations

import re

from prefect_etl.errors import (
    AccessError,
    BusyError,
    ConfigError,
    DataError,
    EtlError,
    StorageError,
    UnreachableError,
)

_AGAIN = "Run again: nothing was published, and what was read is kept."
_LOGIN = "Check user and password in the URI, or MYSQL_PWD."
_GRANT = "Ask for the privilege, or use another user."
_TLS = "Check ssl-mode, ssl-ca and the name of the server."
_BY_NUMBER: dict[int, tuple[type[EtlError], str]] = {
    **dict.fromkeys((1045, 1251, 1698, 4151), (AccessError, _LOGIN)),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), (AccessError, _GRANT)),
    **dict.fromkeys((2026, 3159), (AccessError, _TLS)),
    1049: (ConfigError, "Check the database's name in the URI."),
    1046: (ConfigError, "Name a database in the URI: mysql://user@host/database."),
    1146: (ConfigError, "Check the table's name; `prefect-etl connections discover` lists all."),
    1054: (ConfigError, "Check the column's name."),
    **dict.fromkeys(
        (1052, 1055, 1056, 1060, 1064, 1066, 1109, 1111, 1140, 1222, 1241, 1248, 1305, 1582),
        (ConfigError, "Check the SQL and the names in it."),
    ),
    **dict.fromkeys(
        (1040, 1053, 1129, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927),
        (UnreachableError, _AGAIN),
    ),
    **dict.fromkeys((1205, 1213, 1317, 1969, 3024), (BusyError, _AGAIN)),
    **dict.fromkeys((1021, 1037, 1041, 1114), (StorageError, "Give the server more disk.")),
}
_FIRST_OF_CLIENT, _LAST_OF_CLIENT = 2000, 2999
_TOLD = re.compile(r"ERROR (\d+) \(\w+\): (.*?)(?: \}|$)", re.DOTALL)


def translate(error: Exception, what: str) -> EtlError:
    """One of our errors for one of pymysql's or ConnectorX'.

    Args:
        error: The driver's.
        what: What was done, or where, without secrets.

    Example:
        >>> error = RuntimeError("MySqlError { ERROR 1146 (42S02): Table 'a.b' doesn't exist }")
        >>> print(translate(error, "orders").message)
        orders: Table 'a.b' doesn't exist
    """
    number, said = _parted(error)
    if "CERTIFICATE" in said or "certificate" in said:
        return AccessError(f"{what}: {said}", hint=_TLS)
    if number in _BY_NUMBER:
        kind, hint = _BY_NUMBER[number]
        return kind(f"{what}: {said}", hint=hint)
    if number == 0 or _FIRST_OF_CLIENT <= number <= _LAST_OF_CLIENT:
        hint = "Check that the server runs and can be reached, then run again."
        return UnreachableError(f"{what}: {said}", hint=hint)
    return DataError(f"{what}: {said} (error {number})", hint="Check the SQL and the data.")


def _parted(error: Exception) -> tuple[int, str]:
    """The number and the text of an error."""
    if match := _TOLD.search(str(error)):
        return int(match[1]), match[2]
    arguments = error.args
    if len(arguments) > 1 and isinstance(arguments[0], int):
        return arguments[0], str(arguments[1])
    return 0, str(error) or type(error).__name__
