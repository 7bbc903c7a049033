"""Connections as they are given on the command line, and their secrets, which are hidden."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prefect_etl.pipeline.spec.connection import Connection

_VARIABLE = re.compile(r"\$\{(\w+)")
_PLACE = "CONNECTION"


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


def resolved(text: str, root: Path) -> Connection:
    """The connection that a name, a URI or a block means.

    Args:
        text: With ``${NAME}`` for variables.
        root: The folder of the settings, and of relative paths.

    Raises:
        ConfigError: There is none.
    """
    from prefect_etl.config.settings import load_settings
    from prefect_etl.errors import ConfigError
    from prefect_etl.orchestration.blocks import NamedConnections
    from prefect_etl.pipeline.spec.connection import Connections
    from prefect_etl.pipeline.spec.environment import Expansion

    named = NamedConnections(load_settings(root).connection_uris())
    hidden((text,), named)
    expansion = Expansion(os.environ)
    uri = str(expansion.expand(text, (_PLACE,)))
    mistakes = expansion.mistakes
    found = Connections(root, named, expansion).resolve(uri, (_PLACE,), mistakes)
    if found is None:
        raise ConfigError(
            mistakes[0].text if mistakes else f"{text} is no connection",
            hint="`prefect-etl connections list` shows the names.",
        )
    return found
