"""Resources with guaranteed cleanup, and leases that outlive a killed process."""

from prefect_etl.utils.resources.manager import ResourceManager, resource

__all__ = ["ResourceManager", "resource"]
