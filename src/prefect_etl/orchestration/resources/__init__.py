"""Resources that the tasks of a flow run share."""

from prefect_etl.orchestration.resources.shared import Shared, shared

__all__ = ["Shared", "shared"]
