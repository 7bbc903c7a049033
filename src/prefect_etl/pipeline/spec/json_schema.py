"""The JSON Schema of the pipeline file, for editors: made of the connectors' own models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from prefect_etl.connectors.base import Connector
from prefect_etl.connectors.registry import connectors
from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.pipeline.spec.fields import PipelineFields, SourceFields

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/"


def build_schema(known: Iterable[Connector] | None = None) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the pipeline file.

    Which fields a dataset has follows from the scheme of its source's connection; where that is a
    name or a variable, the fields of any connector are allowed.

    Args:
        known: The connectors; all that are installed if None.
    """
    sources = [c for c in (connectors() if known is None else known) if c.dataset is not None]
    models: list[type[BaseModel]] = [TransformationSpec, PipelineFields, SourceFields]
    models += [connector.dataset for connector in sources if connector.dataset is not None]
    references, whole = models_json_schema([(model, "validation") for model in models])
    definitions: dict[str, Any] = whole["$defs"]
    named = [model for model in models if "name" in model.model_fields and model != PipelineFields]
    for model in named:
        _take_name_out(definitions[_key(references[model, "validation"])])
    pipeline = definitions.pop(_key(references[PipelineFields, "validation"]))
    source = definitions.pop(_key(references[SourceFields, "validation"]))
    datasets = {c.name: references[c.dataset, "validation"] for c in sources if c.dataset}
    source["properties"]["datasets"] |= {"additionalProperties": {"anyOf": [*datasets.values()]}}
    source["allOf"] = [_where_connected(c.schemes, datasets[c.name]) for c in sources]
    pipeline["properties"]["sources"] = _named(pipeline["properties"]["sources"], source)
    transformation = references[TransformationSpec, "validation"]
    place = pipeline["properties"]
    place["transformations"] = _named(place["transformations"], transformation)
    for definition in definitions.values():
        if "description" in definition:  # a docstring; its examples are Python
            definition["description"] = definition["description"].split("\n\n")[0]
    return {
        "$schema": _DIALECT,
        **pipeline,
        "title": "Pipeline of prefect_etl",
        "$defs": definitions,
    }


def _key(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).removeprefix(_REFERENCE)


def _take_name_out(schema: dict[str, Any]) -> None:
    """The name of a dataset or transformation is the key above it."""
    del schema["properties"]["name"]
    schema["required"] = [name for name in schema.get("required", ()) if name != "name"]


def _where_connected(schemes: Iterable[str], dataset: dict[str, Any]) -> dict[str, Any]:
    pattern = "^(" + "|".join(sorted(schemes)) + "):"
    return {
        "if": {"properties": {"connection": {"pattern": pattern}}, "required": ["connection"]},
        "then": {"properties": {"datasets": {"additionalProperties": dataset}}},
    }


def _named(field: dict[str, Any], entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": field["description"],
        "type": ["object", "null"],
        "additionalProperties": entry,
    }
