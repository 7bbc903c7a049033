"""The log of all runs, failed ones too: one JSON file a run.

A ledger that commits with its rows cannot know of a run that committed nothing; this log does. It
is for people: no decision of a run depends on it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from prefect_etl.core.report import RunReport
from prefect_etl.errors import ConfigError
from prefect_etl.storage.durable import replace_file, storage_errors
from prefect_etl.storage.lease import is_alive


class RunLog:
    """The runs of one pipeline.

    Args:
        folder: Where the files are.
        leases: Where the leases are that tell a running run from a dead one.
    """

    def __init__(self, folder: Path, leases: Path) -> None:
        self.folder = folder
        self._leases = leases

    def write(self, report: RunReport) -> None:
        """Write a run's report, in place of an earlier one of the same run."""
        with storage_errors("the run log"):
            replace_file(self.folder / f"{report.run_id}.json", report.to_json(), report.run_id)

    def read(self, run_id: str) -> RunReport:
        """A run's report.

        Raises:
            ConfigError: There is no such run.
        """
        path = self.folder / f"{run_id}.json"
        if not path.is_file():
            raise ConfigError(f"there is no run {run_id}", hint="See `prefect-etl history`.")
        return self._settled(RunReport.from_json(path.read_text(encoding="utf-8")))

    def latest(self, limit: int | None = None) -> list[RunReport]:
        """Reports, newest first."""
        names = sorted((p.stem for p in self.folder.glob("*.json")), reverse=True)
        return [self.read(name) for name in names[:limit]]

    def _settled(self, report: RunReport) -> RunReport:
        if report.status != "running" or is_alive(self._leases, report.run_id):
            return report
        return replace(
            report, status="interrupted", error="the process ended before the run was over"
        )
