"""Ours without Prefect: the protocol of a run as plain calls. Argument: the pipeline file."""

from __future__ import annotations

import sys
from pathlib import Path

from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import open_workspace


def main() -> int:
    with open_workspace(load_pipeline(Path(sys.argv[1]))) as workspace:
        report = run_pipeline(workspace)
    for failure in report.failures:
        print(failure, report, file=sys.stderr)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
