"""Ctrl-C within a statement of DuckDB's is Ctrl-C, not the failure of what was being done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from project import Project
from steps import Step, watch

# In a process of its own: a signal that comes too early or too late must not hit the tests.
_CHILD = """
import signal
from prefect_etl.engine.duckdb import Session

class StoppedError(KeyboardInterrupt):
    pass

def stop(*_):
    raise StoppedError

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored where tests run
session = Session()
print("ready", flush=True)
try:
    session.query("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b")
except BaseException as error:
    print(type(error).__name__, flush=True)
"""


@pytest.mark.parametrize(
    ("sent", "raised"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "StoppedError")],
)
def test_a_statement_that_is_interrupted_raises_what_the_handler_raised(sent, raised):
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        child.send_signal(sent)
        try:
            told, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    assert told == f"{raised}\n"


@pytest.mark.parametrize("call", ["COPY", "INSERT", "commit"])
def test_a_run_that_is_interrupted_ends_and_the_next_one_goes_on(call, tmp_path):
    project = Project(tmp_path)
    (project.folder / "a.csv").write_text("n,what\n1,one\n")

    def before(step: Step) -> None:
        if step.call == call:
            os.kill(os.getpid(), signal.SIGINT)

    with watch(before), pytest.raises(KeyboardInterrupt):
        project.run()
    assert list((project.kept / "raw/leases").iterdir()) == []
    assert list((project.kept / "raw/faulty/batches").glob(".*")) == []
    assert project.run_faulty().status == "loaded"
    assert project.rows() == [(1, "one")]
