"""Says in plain English what pydantic found wrong, and names the nearest right key or value."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.pipeline.spec.document import Mistake, Place

_FEW = 12
_NUMBERS = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "decimal_parsing": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "date_from_datetime_parsing": "a date such as 2013-01-31",
    "datetime_from_date_parsing": "a time such as 2013-01-31T12:00:00",
    "time_delta_parsing": "a time span such as PT1H",
}
_BOUNDS = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("less than", "lt"),
}


def mistakes(
    error: ValidationError, model: type[BaseModel], written: Any, place: Place = ()
) -> list[Mistake]:
    """Turn pydantic's errors into mistakes.

    Args:
        error: What validating ``written`` as ``model`` raised.
        model: For the names of keys.
        written: The value as it is written in the file, before variables were put in: only this is
            shown, so no secret is.
        place: Where the value stands.

    Example:
        >>> from prefect_etl.core.transformation import RowCount
        >>> written = {"mni": 1, "max": "many"}
        >>> try:
        ...     RowCount.model_validate(written)
        ... except ValidationError as error:
        ...     for mistake in mistakes(error, RowCount, written):
        ...         print(mistake.place, mistake.text)
        ('max',) must be a whole number, not 'many'
        ('mni',) unknown key; did you mean min?
    """
    found: dict[Place, list[str]] = {}
    for part in error.errors(include_url=False):
        where = _written_place(part["loc"], written, missing=part["type"] == "missing")
        text = _say(part, where, model, written)
        if part["type"] == "missing":
            where = where[:-1]
        texts = found.setdefault(where, [])
        if text not in texts:
            texts.append(text)
    return [Mistake((*place, *where), _join(texts)) for where, texts in found.items()]


def _join(texts: list[str]) -> str:
    """Several branches of a union failed at one place: any of them would do."""
    musts = [text for text in texts if text.startswith("must be ")]
    others = [text for text in texts if text not in musts]
    wanted = [text.removeprefix("must be ").split(", not ")[0] for text in musts]
    if len(wanted) > 1:
        musts = ["must be " + " or ".join(dict.fromkeys(wanted))]
    return "; ".join(musts + others)


def _written_place(location: tuple[str | int, ...], written: Any, *, missing: bool) -> Place:
    """The location without the names that pydantic gives to branches of unions."""
    place: list[str | int] = []
    value = written
    steps = location[:-1] if missing else location
    for step in steps:
        keys = range(len(value)) if isinstance(value, list | tuple) else value
        if isinstance(keys, Mapping | range) and step in keys:
            value = value[step]
            place.append(step)
    return (*place, *location[-1:]) if missing else tuple(place)


def _value_at(place: Place, written: Any) -> Any:
    for step in place:
        written = written[step]
    return written


def _say(part: Any, where: Place, model: type[BaseModel], written: Any) -> str:
    kind, context = part["type"], part.get("ctx", {})
    if kind == "missing":
        return f"{where[-1]} is missing"
    value = _value_at(where, written)
    if kind == "extra_forbidden":
        known = known_keys(model, where[:-1])
        near = did_you_mean(str(where[-1]), known)
        few = f"; known keys: {', '.join(known)}" if len(known) <= _FEW else ""
        return f"unknown key{near or few}"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error", part["msg"]))
    if kind == "string_type":
        quoted = "" if value is None or isinstance(value, Mapping | list) else "; put it in quotes"
        return f"must be text, not {_shown(value)}{quoted}"
    if kind in ("literal_error", "enum"):
        return _one_of(part, value)
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind in _NUMBERS:
        return f"must be {_NUMBERS[kind]}, not {_shown(value)}"
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}, not {_shown(value)}"
    message = str(part["msg"]).replace("Input should be", "must be")
    return message[:1].lower() + message[1:]


def _one_of(part: Any, value: Any) -> str:
    expected = str(part["ctx"]["expected"]).replace("'", "")
    choices = expected.replace(" or ", ", ").split(", ")
    near = did_you_mean(str(value), choices)
    return f"must be {expected}, not {_shown(value)}{near}"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return repr(value)
        case _:
            return f"a {type(value).__name__}"


def known_keys(model: type[BaseModel], place: Place = ()) -> list[str]:
    """The keys that a model, or what stands at a place in it, understands.

    Example:
        >>> from prefect_etl.core.dataset import DatasetSpec
        >>> known_keys(DatasetSpec, ("columns",))
        ['select', 'drop', 'rename', 'cast']
    """
    schema = _schema(model)
    definitions = schema.get("$defs", {})
    branches = [schema]
    for step in place:
        branches = [
            branch for parent in branches for branch in _resolve(_below(parent, step), definitions)
        ]
    return list(dict.fromkeys(key for branch in branches for key in branch.get("properties", {})))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _below(schema: dict[str, Any], step: str | int) -> Any:
    if isinstance(step, int):
        return schema.get("items", {})
    return schema.get("properties", {}).get(step, schema.get("additionalProperties", {}))


def _resolve(schema: Any, definitions: dict[str, Any]) -> list[dict[str, Any]]:
    if not isinstance(schema, dict):
        return []
    if "$ref" in schema:
        return _resolve(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    parts = [*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])]
    return [schema, *(found for part in parts for found in _resolve(part, definitions))]
