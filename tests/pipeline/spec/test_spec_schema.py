"""The JSON Schema that editors get."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
import yaml

from prefect_etl.pipeline.spec import pipeline_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def schema():
    return json.loads(json.dumps(pipeline_schema()))


def wrong(schema, text):
    found = jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text))
    return sorted({".".join(map(str, error.absolute_path)) for error in found})


def dataset(connection, fields):
    source = f"{{s: {{connection: '{connection}', datasets: {{d: {{{fields}}}}}}}}}"
    return f"{{name: p, destination: 'memory://w', sources: {source}}}"


def test_it_is_valid_itself(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("template", ["flights", "blank"])
def test_it_accepts_the_templates(schema, template):
    text = files("prefect_etl").joinpath("templates", template, "pipeline.yaml").read_text()
    assert wrong(schema, text) == []


def test_the_fields_of_a_dataset_follow_from_its_connection(schema):
    assert wrong(schema, dataset("file://.", "path: x")) == []
    assert wrong(schema, dataset("file://.", "table: x")) == ["sources.s.datasets.d"]
    assert wrong(schema, dataset("duckdb:///x", "table: x")) == []


def test_behind_a_name_or_variable_the_fields_of_any_connector_are_allowed(schema):
    assert wrong(schema, dataset("${OPS}", "table: x, schema: raw, key: id")) == []
    assert wrong(schema, dataset("ops", "nonsense: x")) == ["sources.s.datasets.d"]


def test_the_name_of_a_dataset_is_its_key(schema):
    assert wrong(schema, dataset("file://.", "path: x, name: d")) != []


def test_every_field_has_a_description(schema):
    for name, model in schema["$defs"].items():
        for field, described in model.get("properties", {}).items():
            assert "description" in described or "$ref" in described, (name, field)
    assert not any(">>>" in str(model.get("description")) for model in schema["$defs"].values())
