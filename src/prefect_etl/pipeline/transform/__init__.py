"""Transformations: tables that are made from other tables, by SQL or by Python functions."""

from __future__ import annotations

from prefect_etl.pipeline.transform.build import ChecksFailedError, build, failed_report
from prefect_etl.pipeline.transform.function import load_function
from prefect_etl.pipeline.transform.prepare import prepare
from prefect_etl.pipeline.transform.prepared import Dependency, Prepared
from prefect_etl.pipeline.transform.staleness import plan_transformations

__all__ = [
    "ChecksFailedError",
    "Dependency",
    "Prepared",
    "build",
    "failed_report",
    "load_function",
    "plan_transformations",
    "prepare",
]
