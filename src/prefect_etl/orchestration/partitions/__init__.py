"""Thousands of partitions in few task runs."""

from prefect_etl.orchestration.partitions.mapping import map_partitions
from prefect_etl.orchestration.partitions.results import PartitionResult, PartitionResults

__all__ = ["PartitionResult", "PartitionResults", "map_partitions"]
