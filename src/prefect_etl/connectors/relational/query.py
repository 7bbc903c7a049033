"""Puts the values of parameters into a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.core.sql import literal
from prefect_etl.errors import ConfigError

# What a name may stand in without being a parameter: text, quoted names, comments.
_QUOTED = (
    r"'(?:[^']|'')*'",
    r'"(?:[^"]|"")*"',
    r"`[^`]*`",
    r"--[^\n]*",
    r"/\*.*?\*/",
    r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$",
)
_PARAMETER = re.compile("|".join((*_QUOTED, r"(?<!\w)\$(?P<name>[A-Za-z_]\w*)")), re.DOTALL)


def spelled(value: Any) -> str:
    """A parameter's value as SQL that all systems read alike.

    Example:
        >>> spelled(2.5), spelled("it's")
        ('2.5', "'it''s'")
    """
    return literal(value.isoformat(" ") if hasattr(value, "hour") else value)


def with_values(
    query: str, parameters: Mapping[str, Any], *, spell: Callable[[Any], str] = spelled
) -> str:
    """Put values in the places of ``$name``, which may not stand within text or comments.

    They are written into the SQL, quoted, because streaming a result takes a whole statement where
    a driver binds values.

    Args:
        query: The SQL.
        parameters: Values by name.
        spell: Makes SQL of a value; another one where a system reads text in its own way.

    Raises:
        ConfigError: The query names a parameter that has no value, or there is one too many.

    Example:
        >>> with_values("SELECT * FROM o WHERE r = $region AND t <> '$x'", {"region": "EU"})
        "SELECT * FROM o WHERE r = 'EU' AND t <> '$x'"
    """
    used: set[str] = set()

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return match[0]
        if name not in parameters:
            raise ConfigError(
                f"the query has a parameter ${name} without a value"
                f"{did_you_mean(name, parameters)}",
                hint="Give it with parameters: {name: value}.",
            )
        used.add(name)
        return spell(parameters[name])

    bound = _PARAMETER.sub(value, query)
    if unused := [name for name in parameters if name not in used]:
        raise ConfigError(
            f"parameters: the query has no ${unused[0]}",
            hint="Write $name where its value belongs.",
        )
    return bound
