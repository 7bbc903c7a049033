"""Where a PostgreSQL database is, and how to connect to it.

The URI goes to libpq as it was given, to psycopg and to ADBC alike. So all that libpq knows works:
``sslmode`` and certificates, ``PG…`` variables, ``service=`` and ``~/.pgpass``
(https://www.postgresql.org/docs/current/libpq-connect.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import SecretStr

from prefect_etl.connectors.base import ConnectionConfig
from prefect_etl.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

INSTALL = "Install the extra: pip install 'prefect-etl[postgres]'."
# Values are spelled in one way, whatever the server's settings say.
_SESSION = {
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
}
_SECRET_OPTIONS = ("password", "sslpassword", "passfile")
_CONNECT_SECONDS = "10"
# A server that vanished without a word is noticed after a minute, not after two hours.
_KEEPALIVES = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


class PostgresConnection(ConnectionConfig):
    """A PostgreSQL database.

    Example:
        >>> uri = "postgres://etl:secret@db:5433/shop?sslmode=require"
        >>> PostgresConnection.from_uri(uri, Path()).display
        'postgresql://etl:***@db:5433/shop?sslmode=require'
    """

    uri: SecretStr

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:  # noqa: ARG003 - a server has no folder
        """Take a URI of libpq's, also with a driver as SQLAlchemy writes it.

        Raises:
            ConfigError: It is no such URI.
        """
        _, colon, rest = uri.partition(":")
        if not colon or not rest.startswith("//"):
            raise ConfigError(
                "a PostgreSQL connection begins with postgresql://",
                hint="Write postgresql://user@host:5432/database; the password may come from "
                "~/.pgpass or PGPASSWORD.",
            )
        try:
            _ = urlsplit(uri).port
        except ValueError as error:
            raise ConfigError("the port of a PostgreSQL connection is a number") from error
        return cls(uri=SecretStr(f"postgresql:{rest}"))

    @property
    def display(self) -> str:
        """The URI without secrets."""
        parts = urlsplit(self.uri.get_secret_value())
        netloc = parts.netloc
        if "@" in netloc:
            user, _, host = netloc.rpartition("@")
            name, colon, _ = user.partition(":")
            netloc = f"{name}:***@{host}" if colon else f"{name}@{host}"
        shown = [(k, "***" if k in _SECRET_OPTIONS else v) for k, v in parse_qsl(parts.query)]
        return urlunsplit((parts.scheme, netloc, parts.path, urlencode(shown, safe="*/ "), ""))

    @property
    def default_schema(self) -> str:
        """The schema of tables that name none."""
        return "public"

    @property
    def session_options(self) -> str:
        """What every connection sets first, as one statement of SQL."""
        return "; ".join(f"SET {name} = '{value}'" for name, value in _SESSION.items())

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[Any]:
        """Open a connection.

        Raises:
            UnreachableError: The server does not answer.
            AccessError: It refuses.
            ConfigError: The URI is wrong, or the driver is not installed.
        """
        try:
            import psycopg
        except ImportError as error:
            raise ConfigError("PostgreSQL needs the package psycopg", hint=INSTALL) from error
        with translated(self.display):
            options: dict[str, Any] = self.defaults()
            connection = psycopg.connect(self.uri.get_secret_value(), autocommit=True, **options)
            try:
                connection.execute(self.session_options.encode())
                connection.autocommit = autocommit
            except BaseException:  # also Ctrl-C: nobody else would close it
                connection.close()
                raise
        return connection

    def defaults(self) -> dict[str, str]:
        """Options of libpq that the URI does not give."""
        given = dict(parse_qsl(urlsplit(self.uri.get_secret_value()).query))
        defaults = {"application_name": "prefect_etl", "connect_timeout": _CONNECT_SECONDS}
        defaults |= _KEEPALIVES
        return {name: value for name, value in defaults.items() if name not in given}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Make our errors of the driver's.

    Args:
        what: What is done, or where, for the message; without secrets.

    Raises:
        EtlError: As :func:`prefect_etl.connectors.postgres.faults.translate` says.
    """
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        from prefect_etl.connectors.postgres.faults import translate

        raise translate(error, what) from error
