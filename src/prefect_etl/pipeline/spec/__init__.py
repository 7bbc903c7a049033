"""The pipeline file: read, checked, all mistakes told at once with their lines."""

from __future__ import annotations

from prefect_etl.pipeline.spec.connection import Connection
from prefect_etl.pipeline.spec.pipeline import (
    PipelineSpec,
    SourcedDataset,
    SourcedTables,
    load_pipeline,
    pipeline_from,
    pipeline_schema,
)

__all__ = [
    "Connection",
    "PipelineSpec",
    "SourcedDataset",
    "SourcedTables",
    "load_pipeline",
    "pipeline_from",
    "pipeline_schema",
]
