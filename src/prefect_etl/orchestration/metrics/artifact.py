"""The table of a run's metrics in Prefect's UI."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

_MOST_ROWS = 500
_UNITS = {"s": "s", "By": "bytes"}


def artifact_key(flow: str) -> str:
    """The key under which the tables of a flow's runs stand one after the other.

    Example:
        >>> artifact_key("Monitored_flow 2")
        'metrics-monitored-flow-2'
    """
    return "metrics-" + (re.sub(r"[^a-z0-9]+", "-", flow.lower()).strip("-") or "flow")


def table_rows(metrics: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row a metric and combination of tags; of a histogram its mean, count, least, greatest.

    Example:
        >>> table_rows([{"name": "rows_total", "kind": "counter", "unit": "", "value": 2.0,
        ...              "tags": {"table": "flights"}}])
        [{'metric': 'rows_total', 'tags': 'table=flights', 'value': '2', 'more': ''}]
    """
    rows = [_row(metric) for metric in metrics[:_MOST_ROWS]]
    if len(metrics) > _MOST_ROWS:
        more = f"{len(metrics) - _MOST_ROWS} more are in the record"
        rows.append({"metric": "…", "tags": "", "value": "", "more": more})
    return rows


def _row(metric: Mapping[str, Any]) -> dict[str, Any]:
    unit = _UNITS.get(metric["unit"], "")
    tags = ", ".join(f"{key}={value}" for key, value in metric["tags"].items())
    row = {"metric": metric["name"], "tags": tags}
    if metric["kind"] != "histogram":
        return row | {"value": _shown(metric["value"], unit), "more": ""}
    mean = metric["sum"] / (metric["count"] or 1)
    more = (
        f"mean of {metric['count']}; least {_shown(metric['min'], unit)}, "
        f"greatest {_shown(metric['max'], unit)}, sum {_shown(metric['sum'], unit)}"
    )
    return row | {"value": _shown(mean, unit), "more": more}


def _shown(value: float, unit: str) -> str:
    number = f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"
    return f"{number} {unit}".strip()


def create_table(
    client: SyncPrefectClient,
    rows: list[dict[str, Any]],
    flow_run_id: UUID,
    *,
    key: str | None = None,
    description: str,
    task_run_id: UUID | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """Store a table with the run, in Prefect's API."""
    from prefect.client.schemas.actions import ArtifactCreate

    client.create_artifact(
        ArtifactCreate(
            key=key,
            type="table",
            description=description,
            data=json.dumps(rows),
            metadata_=metadata,
            flow_run_id=flow_run_id,
            task_run_id=task_run_id,
        )
    )
