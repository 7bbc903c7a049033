"""Runs pipelines in processes that can be killed: ``python child.py`` reads jobs, one a line.

Each job runs in a process of its own, forked from this one, where everything is imported already;
nothing is open here that a fork could share. A job may name the step at which its process dies.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

import duckdb  # noqa: F401 - imported before the fork, so that a job need not
import pandas as pd  # noqa: F401
import pgpq  # noqa: F401
import psycopg  # noqa: F401
import pyarrow as pa  # noqa: F401
from steps import Step, watch

import prefect_etl.connectors.duckdb
import prefect_etl.connectors.postgres  # noqa: F401
from prefect_etl.connectors.files import source
from prefect_etl.core.report import RunReport
from prefect_etl.pipeline.replay import entries_to_replay, replay_pipeline
from prefect_etl.pipeline.run import run_pipeline
from prefect_etl.pipeline.spec import load_pipeline
from prefect_etl.pipeline.workspace import Options, open_workspace


def run(job: dict[str, Any]) -> RunReport:
    """Run the pipeline of a folder, by default in steps that always come in the same order.

    ``replay`` loads what is in quarantine instead.
    """
    source.BATCH_BYTES = job["batch_bytes"]
    threads = job.get("threads", 1)
    options = Options(
        concurrency=threads, threads=threads, lock_timeout=job.get("lock_timeout", 10)
    )
    spec = load_pipeline(Path(job["root"]) / "pipeline.yaml")
    with open_workspace(spec, options) as workspace:
        if not job.get("replay"):
            return run_pipeline(workspace)
        names = [(entry.dataset, entry.name) for entry in entries_to_replay(workspace, None)]
        return replay_pipeline(workspace, names)


def work(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job, unless it dies; say what it did, and in which steps."""
    steps: list[Step] = []
    numbers = count(1)

    what = signal.Signals[job.get("signal", "SIGKILL")]

    def before(step: Step) -> None:
        steps.append(step)
        if next(numbers) == job.get("before"):
            os.kill(os.getpid(), what)

    def after(_: Step) -> None:
        if len(steps) == job.get("after"):
            os.kill(os.getpid(), signal.SIGKILL)

    if "dies_within" in job:
        timer = threading.Timer(job["dies_within"], os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()
    if job.get("obeys_permissions"):
        obey_permissions()
    with watch(before, after):
        report = run(job)
    named = {part.dataset: part for part in report.datasets}
    named |= {part.name: part for part in report.transformations}
    failed = {name: part for name, part in named.items() if part.status in ("failed", "skipped")}
    return {
        "status": report.status,
        "failed": {name: part.reason for name, part in failed.items()},
        "hints": [part.hint for part in failed.values()],
        "steps": [asdict(step) for step in steps],
    }


def obey_permissions() -> None:
    """Give up root's right to ignore the permissions of files (Linux; others run no root)."""
    if os.geteuid() != 0:
        return
    both = ~(1 << 1 | 1 << 2) & 0xFFFFFFFF  # all capabilities but DAC_OVERRIDE, DAC_READ_SEARCH
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    rights = (ctypes.c_uint32 * 6)(both, both, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    held = (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.capget(header, held) == 0
    for index, right in enumerate(rights):
        rights[index] = right & held[index]
    assert libc.capset(header, rights) == 0, os.strerror(ctypes.get_errno())


def forked(job: dict[str, Any]) -> dict[str, Any]:
    """Do a job in a process of its own; ``killed`` where that was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = work(job)
        except BaseException:  # noqa: BLE001 - the answer says what it was
            said = {"": traceback.format_exc()}
            answer = {"status": "raised", "failed": said, "hints": [], "steps": []}
        with os.fdopen(writing, "w") as out:
            out.write(json.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as lines:
        text = lines.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"status": "killed", "failed": {}, "hints": [], "steps": []}
    answered: dict[str, Any] = json.loads(text)
    return answered


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)  # noqa: T201 - the answer
