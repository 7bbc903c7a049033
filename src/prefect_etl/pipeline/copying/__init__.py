"""Copies tables, queries and files: one pass, one transaction, no raw zone.

It is the same protocol as a pipeline's, of which only the raw zone is left out: sources are planned
and read, rows are given the table's shape, and the destination commits them with its ledger.
"""

from __future__ import annotations

from prefect_etl.pipeline.copying.job import Job, prepared
from prefect_etl.pipeline.copying.many import copy_all, is_pattern, plan_all
from prefect_etl.pipeline.copying.report import CopyPlan, CopyReport
from prefect_etl.pipeline.copying.request import Means, Request, working
from prefect_etl.pipeline.copying.table import copy, plan, run

__all__ = [
    "CopyPlan",
    "CopyReport",
    "Job",
    "Means",
    "Request",
    "copy",
    "copy_all",
    "is_pattern",
    "plan",
    "plan_all",
    "prepared",
    "run",
    "working",
]
