"""Puts environment variables into the text of a pipeline file: ``${NAME}``, ``${NAME:-default}``.

Only values are expanded, never keys, and what came from the environment is not looked at again.
``$${`` is a ``${`` that stays. A value whose variable or field is named as a secret is hidden from
then on in all that is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from prefect_etl.config.secrets import names_secret, register_secret
from prefect_etl.pipeline.spec.document import Mistake, Place

_VARIABLE = re.compile(
    r"\$\$\{"  # escaped
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}"
    r"|\$\{"  # anything else that looks like one
)
_URI_PARTS = re.compile(r"[\s:/@?&=;,#%]+")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_PASSWORD = re.compile(r"(://[^/@\s:]*):[^/@\s]+@")
# Shorter text is found everywhere by chance, and hides nothing.
_TELLING = 4


@dataclass(slots=True)
class Expansion:
    """Expands the values of one document.

    Args:
        environment: The variables.

    Attributes:
        used: For each place, the names and values of the variables that its text took.
        mistakes: Variables that are not set, and text that only looks like one.

    Example:
        >>> Expansion({"HOST": "db"}).expand({"uri": "pg://${HOST}/${NAME:-main}$${x}"}, ())
        {'uri': 'pg://db/main${x}'}
    """

    environment: Mapping[str, str]
    used: dict[Place, dict[str, str]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def expand(self, value: Any, place: Place) -> Any:
        """The value with all text in it expanded."""
        if isinstance(value, dict):
            return {key: self.expand(part, (*place, key)) for key, part in value.items()}
        if isinstance(value, list):
            return [self.expand(part, (*place, i)) for i, part in enumerate(value)]
        if isinstance(value, str) and "${" in value:
            return _VARIABLE.sub(lambda match: self._variable(match, place), value)
        return value

    def _variable(self, match: re.Match[str], place: Place) -> str:
        name, default = match["name"], match["default"]
        if match[0] == "$${":
            return "${"
        if name is None:
            text = "${ begins a variable, ${NAME} or ${NAME:-default}; write $${ for the text ${"
            self.mistakes.append(Mistake(place, text))
            return ""
        found = self.environment.get(name)
        if default is not None and not found:  # as in a shell, an empty one counts as missing
            return str(default)
        if found is None:
            text = f"the environment variable {name} is not set; set it, or write ${{{name}:-…}}"
            self.mistakes.append(Mistake(place, text))
            return ""
        self.used.setdefault(place, {})[name] = found
        if any(names_secret(str(part)) for part in (name, *place[-1:])):
            register_secret(found)
        return found

    def taken(self, place: Place) -> dict[str, str]:
        """Values of the variables that were put in at a place or below it, by ``${NAME}``."""
        return {
            f"${{{name}}}": value
            for where, variables in self.used.items()
            if where[: len(place)] == place
            for name, value in variables.items()
        }


def hide(message: str, secrets: Mapping[str, str], instead: str) -> str:
    """A message without the values of variables.

    Args:
        message: What may contain them.
        secrets: Values by the name that is shown for them.
        instead: The message where a part of a value would still show.

    Example:
        >>> hide("cannot read db://bob:pw/x", {"${DB}": "db://bob:pw/x"}, "cannot read it")
        'cannot read ${DB}'
        >>> hide("no host is called bobby", {"${DB}": "db://bobby:pw/x"}, "cannot read it")
        'cannot read it'
    """
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        if value:
            message = message.replace(value, name)
    message = _PASSWORD.sub(r"\1:***@", message)
    shown = message
    for name in secrets:
        shown = shown.replace(name, "")
    telling = any(
        part in shown
        for value in secrets.values()
        for part in _URI_PARTS.split(_SCHEME.sub("", value))
        if len(part) >= _TELLING
    )
    return instead if telling else message
