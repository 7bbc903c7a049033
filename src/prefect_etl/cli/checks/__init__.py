"""What `prefect-etl doctor` checks: functions that give values and print nothing."""

from prefect_etl.cli.checks.everything import check_all
from prefect_etl.cli.checks.finding import Check

__all__ = ["Check", "check_all"]
