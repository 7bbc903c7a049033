"""Connections by name, and those that Prefect's blocks keep.

``block:secret/shop`` is the block ``shop`` of the type Secret. Prefect is imported, and asked, when
the first such name is looked up.
"""

from __future__ import annotations

from collections import UserDict
from typing import Any

from prefect_etl.config.secrets import register_uri
from prefect_etl.errors import ConfigError, UnreachableError

BLOCK = "block:"
# Where blocks keep a URI, by the name of their field: first come, first served.
_FIELDS = ("value", "connection_info", "url", "connection_url", "uri")
_WRAPPINGS = 3


class NamedConnections(UserDict[str, str]):
    """URIs by name; they hold secrets. The names of blocks are among them.

    Example:
        >>> named = NamedConnections(ops="duckdb:///ops.duckdb")
        >>> "ops" in named, "block:secret/shop" in named, "shop" in named
        (True, True, False)
    """

    def __contains__(self, name: object) -> bool:
        """Whether it is a name, or asks for a block."""
        return super().__contains__(name) or (isinstance(name, str) and name.startswith(BLOCK))

    def __missing__(self, name: str) -> str:
        """The URI that a block keeps; its password is hidden from now on.

        Raises:
            ConfigError: There is no such block, or it keeps no URI.
        """
        if not name.startswith(BLOCK):
            raise KeyError(name)
        uri = uri_of_block(name.removeprefix(BLOCK))
        register_uri(uri)
        self[name] = uri
        return uri


def uri_of_block(name: str) -> str:
    """The URI that a block keeps.

    Any type of block will do that keeps one as text or secret: ``Secret``, and the
    ``SqlAlchemyConnector`` and ``DatabaseCredentials`` of Prefect's integrations.

    Args:
        name: ``type/name``; the type as its slug or as its class is called.

    Raises:
        ConfigError: There is no such block, or it keeps no URI.
        UnreachableError: Prefect's API does not answer.
    """
    kind, slash, block_name = name.partition("/")
    if not slash:
        raise ConfigError(
            f"block:{name} names no block", hint="Write block:TYPE/NAME, such as block:secret/shop."
        )
    from httpx import HTTPError
    from prefect.blocks.core import Block

    from prefect_etl.orchestration.server import use_server

    use_server()
    load: Any = Block.load
    try:
        block = load(f"{_slug(kind)}/{block_name}", _sync=True)
    except ValueError as error:
        raise ConfigError(
            f"Prefect has no block {name}, or its type is not installed here",
            hint="`prefect block ls` lists them.",
        ) from error
    except HTTPError as error:
        raise UnreachableError(
            f"Prefect's API cannot be asked for block {name}: {error}"
        ) from error
    return _uri(block, name)


def _slug(kind: str) -> str:
    """The slug of a block's type, as Prefect makes it of the class's name.

    Example:
        >>> _slug("SqlAlchemyConnector"), _slug("secret")
        ('sql-alchemy-connector', 'secret')
    """
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).strip("-")


def _uri(block: Any, name: str) -> str:
    for field in _FIELDS:
        text = _plain(getattr(block, field, None))
        if text is not None and ":" in text:
            return text
    raise ConfigError(
        f"block {name} keeps no URI",
        hint="Keep it as the value of a Secret: postgresql://user:password@host/database.",
    )


def _plain(value: Any) -> str | None:
    """A value as text, out of its wrappings: a Secret keeps a SecretStr."""
    for _ in range(_WRAPPINGS):
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
    if hasattr(value, "render_as_string"):  # a URL of SQLAlchemy's
        value = value.render_as_string(hide_password=False)
    return value if isinstance(value, str) else None
