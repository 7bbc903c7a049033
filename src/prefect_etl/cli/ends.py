"""Connections on the command line: names, Prefect blocks, and secrets to be hidden."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

_BLOCK = "block:"
_VARIABLE = re.compile(r"\$\{(\w+)")


def with_blocks(connections: Mapping[str, str], texts: Iterable[str]) -> dict[str, str]:
    """Connections by name, and the URIs of the Prefect blocks that texts name.

    Prefect is imported only where there is one.

    Raises:
        ConfigError: A block is not there, or holds no URI.
    """
    found = dict(connections)
    for text in texts:
        if text.startswith(_BLOCK):
            from prefect_etl.orchestration.blocks import uri_of_block

            found[text] = uri_of_block(text.removeprefix(_BLOCK))
    return found


def hidden(texts: Iterable[str], connections: Mapping[str, str]) -> None:
    """Hide the secrets of connections in all that is printed from now on."""
    from prefect_etl.config.secrets import register_secret, register_uri

    for text in texts:
        register_uri(connections.get(text, text))
        for name in _VARIABLE.findall(text):
            value = os.environ.get(name, "")
            register_uri(value)
            if "://" not in value:
                register_secret(value)
