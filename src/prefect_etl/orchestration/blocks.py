"""Reads connections from Prefect's blocks: ``block:secret/shop`` is the secret ``shop``."""

from __future__ import annotations

from typing import Any

from prefect_etl.errors import ConfigError, UnreachableError
from prefect_etl.orchestration.server.use import use_server

# Where blocks keep a URI, by the name of their field; first come, first served.
_FIELDS = ("value", "connection_info", "url", "connection_url", "uri")


def uri_of_block(name: str) -> str:
    """The URI that a block holds.

    Blocks of any type will do that keep a URI as text or secret: ``Secret`` and
    ``DatabaseCredentials`` or ``SqlAlchemyConnector`` of Prefect's integrations.

    Args:
        name: ``type/name``; the type as Prefect calls it, in words or as a slug.

    Raises:
        ConfigError: There is no such block, or it holds no URI.
    """
    from prefect.blocks.core import Block

    kind, slash, _ = name.partition("/")
    if not slash:
        raise ConfigError(
            f"block:{name} names no block", hint="Write block:TYPE/NAME, such as block:secret/shop."
        )
    slug = "".join(f"-{c.lower()}" if c.isupper() else c for c in kind).strip("-")
    use_server()
    try:
        block: Any = Block.load(f"{slug}/{name.partition('/')[2]}", _sync=True)  # type: ignore[call-arg]
    except ValueError as error:
        raise ConfigError(
            f"Prefect has no block {name}, or its type is not installed here: {error}",
            hint="`prefect block ls` lists them.",
        ) from error
    except Exception as error:
        raise UnreachableError(
            f"the Prefect API cannot be asked for block {name}: {error}"
        ) from error
    return _uri(block, name)


def _uri(block: Any, name: str) -> str:
    for field in _FIELDS:
        text = _plain(getattr(block, field, None))
        if text is not None and "://" in text:
            return text
    raise ConfigError(
        f"block {name} holds no URI", hint="Keep it in a Secret block: postgresql://user:…@host/db."
    )


def _plain(value: Any) -> str | None:
    """A value as text, out of its wrapping."""
    for _ in range(3):  # a Secret keeps a SecretStr, perhaps of a URL
        if hasattr(value, "get_secret_value"):
            value = value.get_secret_value()
    if hasattr(value, "render_as_string"):
        value = value.render_as_string(hide_password=False)
    return value if isinstance(value, str) else None
