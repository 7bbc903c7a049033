"""The fields of the pipeline file that belong to no connector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from prefect_etl.core.dataset import Names

# Bytes of a name as a folder is called.
_LONGEST = 240


class SourceFields(BaseModel):
    """A system to read from."""

    model_config = ConfigDict(extra="forbid")

    connection: str = Field(
        min_length=1, description="A URI, or the name of a connection in the settings."
    )
    datasets: Mapping[str, Any] | None = Field(None, description="Name of the dataset: its fields.")
    tables: Names = Field(
        (), description="Patterns such as public.*: each table that matches is a dataset."
    )
    exclude: Names = Field((), description="Patterns of tables to leave out.")
    defaults: Mapping[str, Any] = Field(
        default_factory=dict, description="Fields of the datasets that tables: makes."
    )

    @model_validator(mode="after")
    def _something(self) -> SourceFields:
        if self.datasets is None and not self.tables:
            raise ValueError("give datasets, or tables")
        if (self.exclude or self.defaults) and not self.tables:
            raise ValueError("exclude and defaults speak of tables, which is not given")
        return self


class PipelineFields(BaseModel):
    """A pipeline: what to load from where, and what to make of it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, description="The pipeline's name, the owner of its tables.")
    destination: str = Field(
        min_length=1,
        description="Where the tables are: a URI such as duckdb:///warehouse.duckdb, or the name "
        "of a connection in the settings.",
    )
    sources: Mapping[str, Any] | None = Field(None, description="Name of the source: its fields.")
    transformations: Mapping[str, Any] | None = Field(
        None, description="Name of the transformation: its fields."
    )

    @field_validator("name")
    @classmethod
    def _can_be_a_folder(cls, name: str) -> str:
        if not name.isprintable() or len(quote(name, safe="")) > _LONGEST:
            raise ValueError("a pipeline's name is one line of text, of at most 240 bytes")
        return name
