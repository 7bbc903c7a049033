"""Resolves what a pipeline file says of a connection, without ever telling a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prefect_etl.config.secrets import register_uri
from prefect_etl.connectors.base import ConnectionConfig, Connector
from prefect_etl.connectors.registry import connector_for
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError
from prefect_etl.pipeline.spec.document import Mistake, Place
from prefect_etl.pipeline.spec.environment import Expansion, hide

_EXAMPLE = "a URI such as duckdb:///warehouse.duckdb"


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach a system: its connector, and where it is."""

    connector: Connector
    config: ConnectionConfig


class Connections:
    """Resolves URIs and names of connections.

    Args:
        root: The folder that paths are relative to.
        named: URIs by name; they may hold secrets.
        expansion: Knows which text came from environment variables; that is secret here.
    """

    def __init__(self, root: Path, named: Mapping[str, str], expansion: Expansion) -> None:
        self._root = root
        self._named = named
        self._expansion = expansion

    def resolve(self, text: str, place: Place, mistakes: list[Mistake]) -> Connection | None:
        """The connection that a text names; None, and a mistake more, where there is none."""
        if any(mistake.place == place for mistake in self._expansion.mistakes):
            return None  # a variable is missing, which is reported already
        secrets = self._expansion.taken(place)
        uri = text
        if text in self._named:
            uri = self._named[text]
            secrets[f"the connection {text}"] = uri
        elif ":" not in text:
            mistakes.append(Mistake(place, self._unknown(text, secrets)))
            return None
        register_uri(uri)
        try:
            connector = connector_for(uri)
            return Connection(connector, connector.connection.from_uri(uri, self._root))
        except ConfigError as error:
            message, hint = error.message, error.hint
        except ValueError as error:  # pydantic's, or a part that is no number, …
            message, hint = f"not a valid connection: {_first_line(error)}", None
        whole = f"{message}. {hint}" if hint else message
        names = ", ".join(secrets) or "this"
        mistakes.append(Mistake(place, hide(whole, secrets, f"{names} is not a valid connection")))
        return None

    def connector(self, text: str) -> Connector | None:
        """The connector that a text asks for, even where the connection is not valid."""
        try:
            return connector_for(self._named.get(text, text))
        except ConfigError:
            return None

    def _unknown(self, text: str, secrets: Mapping[str, str]) -> str:
        if secrets:
            return f"{', '.join(secrets)} is neither {_EXAMPLE} nor the name of a connection"
        near = did_you_mean(text, self._named)
        return f"no connection is called {text}{near or f'; give {_EXAMPLE}'}"


def _first_line(error: ValueError) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        return "; ".join(part["msg"] for part in error.errors(include_url=False))
    return str(error).split("\n", maxsplit=1)[0]
