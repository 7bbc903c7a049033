"""PostgreSQL for :func:`create_connection`: psycopg, with its statements as the server has them.

Parameters are PostgreSQL's own, ``$1`` and ``$2``, which DuckDB knows, too. A URL goes to libpq as
it was given, so all that libpq knows works: TLS options, ``PG…`` variables, ``service=`` and
``~/.pgpass`` (https://www.postgresql.org/docs/current/libpq-connect.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from prefect_etl.errors import AccessError, ConfigError, EtlError, UnreachableError

if TYPE_CHECKING:
    import psycopg

FIELDS = frozenset(
    {
        "url",
        "host",
        "hostaddr",
        "port",
        "database",
        "dbname",
        "user",
        "password",
        "passfile",
        "service",
        "options",
        "application_name",
        "connect_timeout",
        "target_session_attrs",
        "channel_binding",
        "sslmode",
        "sslrootcert",
        "sslcert",
        "sslkey",
        "sslpassword",
    }
)
_DEFAULTS: Mapping[str, Any] = {"application_name": "prefect_etl", "connect_timeout": 10}
_CANCEL_SECONDS = 5.0
_WRONG_DATABASE = "3D000"
_REFUSING = ("28", "42501")
# Of libpq's own errors, which have no code.
_REFUSED = ("password", "pg_hba.conf", "certificate", "SSL", "role ")
_WRONG = ("invalid", "missing", "definition of service")


class PostgresConnection:
    """A connection of psycopg as other drivers have it.

    Args:
        connection: Commits each statement by itself.
    """

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        """Run a statement; without parameters also several."""
        return self.connection.execute(sql.encode(), parameters or None)

    def executemany(self, sql: str, parameters: Iterable[Any]) -> Any:
        """Run a statement once for each of many rows of parameters, all or nothing."""
        with self.connection.transaction(), self.connection.cursor() as cursor:
            cursor.executemany(sql.encode(), parameters)

    def interrupt(self) -> None:
        """Ask the server to stop the statement that runs in another thread."""
        import psycopg

        with suppress(psycopg.Error):  # the server may be gone, and the statement with it
            self.connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def connect(fields: Mapping[str, Any]) -> PostgresConnection:
    """Open a connection.

    Raises:
        ConfigError: The driver is not installed.
    """
    try:
        import psycopg
    except ImportError as error:
        raise ConfigError(
            "PostgreSQL needs the package psycopg",
            hint="Install the extra: pip install 'prefect-etl[postgres]'.",
        ) from error
    given = {name: _revealed(value) for name, value in fields.items()}
    url = str(given.pop("url", ""))
    if "database" in given:
        given["dbname"] = given.pop("database")
    options: dict[str, Any] = {**_DEFAULTS, **psycopg.conninfo.conninfo_to_dict(url, **given)}
    return PostgresConnection(
        psycopg.connect(**options, autocommit=True, cursor_factory=psycopg.RawCursor)
    )


def _revealed(value: Any) -> Any:
    """What a secret of pydantic's holds, and anything else as it is."""
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if callable(reveal) else value


def settle(connection: PostgresConnection) -> bool:
    """Leave no transaction open; whether the connection can be used again."""
    import psycopg

    with suppress(psycopg.Error):  # then it is broken
        connection.connection.rollback()
    return not connection.connection.closed


def parse(url: str) -> dict[str, Any]:
    """The fields of a URL: itself, for libpq."""
    if not url.startswith("postgresql://"):
        raise ConfigError(
            "a PostgreSQL url begins with postgresql://",
            hint="Write postgresql://user@host:5432/database; the password may come from "
            "~/.pgpass or PGPASSWORD.",
        )
    return {"url": url}


def describe(fields: Mapping[str, Any]) -> str:
    """Where a connection leads, without user and password.

    Example:
        >>> describe({"url": "postgresql://etl:secret@db:5433/shop?sslpassword=x"})
        'postgresql://db:5433/shop'
        >>> describe({"host": "db", "dbname": "shop", "password": "secret"})
        'postgresql://db/shop'
    """
    parts = urlsplit(str(_revealed(fields.get("url", ""))))
    port = f":{fields['port']}" if "port" in fields else ""
    place = f"{fields.get('host', '')}{port}" or parts.netloc.rpartition("@")[2]
    database = fields.get("dbname") or fields.get("database") or parts.path.removeprefix("/")
    return f"postgresql://{place}/{database}"


def translate(error: Exception, what: str) -> EtlError | None:
    """One of our errors for one of psycopg's, when the connection cannot be opened.

    Args:
        error: The driver's.
        what: Where to, without secrets.
    """
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    # connection failed: connection to server at "…", port 1 failed: FATAL:  password …
    first = str(error).strip().split("\n")[0]
    said = first.rpartition(" failed: ")[2].removeprefix("FATAL:").strip()
    state = error.sqlstate or ""
    if state == _WRONG_DATABASE or 'database "' in said:
        return ConfigError(f"{what}: {said}", hint="Check the database's name.")
    if state.startswith(_REFUSING) or any(part in said for part in _REFUSED):
        return AccessError(f"{what}: {said}", hint="Check user, password and TLS options.")
    if isinstance(error, psycopg.ProgrammingError) or any(part in said for part in _WRONG):
        # What libpq cannot parse it shows, and a password may be in it.
        return ConfigError(
            f"{what}: libpq does not understand the connection's url or fields",
            hint="Write postgresql://user@host:5432/database; characters such as @ in a password "
            "are written %40.",
        )
    return UnreachableError(
        f"{what}: {said}", hint="Check that the server runs and can be reached, then try again."
    )
