"""Ctrl-C within a statement of DuckDB's is Ctrl-C, not the failure of what was being done."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from project import Project
from steps import Step, watch

from prefect_etl.engine.duckdb import Session

_LONG = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"


def test_a_statement_that_is_interrupted_raises_keyboard_interrupt():
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        Session().query(_LONG)


def test_what_a_handler_raises_is_kept():
    class StoppedError(KeyboardInterrupt):
        pass

    def stop(*_: object) -> None:
        raise StoppedError

    previous = signal.signal(signal.SIGUSR1, stop)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(StoppedError):
            Session().query(_LONG)
    finally:
        signal.signal(signal.SIGUSR1, previous)


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
