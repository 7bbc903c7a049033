"""A module of resources that leave something behind, and programs that use it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

# Opening one makes a file; closing or reaping removes it.
MODULE = """
    import asyncio, os, sys
    from pathlib import Path
    from prefect_etl.utils.resources import ResourceManager

    class Scratch(ResourceManager):
        def __init__(self, name):
            self.path = Path(name).absolute()

        def handle(self):
            return {"path": str(self.path)}

        def setup(self):
            self.path.write_text("open")
            return self.path

        def cleanup(self):
            self.path.unlink()

        @classmethod
        def reap(cls, handle):
            Path(handle["path"]).unlink(missing_ok=True)
            with open("reaped.txt", "a") as told:
                print(handle["path"], file=told)

    class AsyncScratch(Scratch):
        async def setup(self):
            return super().setup()

        @classmethod
        async def reap(cls, handle):
            await asyncio.sleep(0)
            Scratch.reap.__func__(cls, handle)

    class Stubborn(Scratch):
        @classmethod
        def reap(cls, handle):
            raise OSError("it will not go")

    class Uncleanable(Scratch):
        def cleanup(self):
            raise OSError("no cleanup")

    class Assigned(Scratch):  # knows its handle only when it is open
        assigned = None

        def handle(self):
            return self.assigned and {"path": self.assigned}

        def setup(self):
            self.assigned = str(super().setup())

    def kill():
        os.kill(os.getpid(), 9)
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder under which leases are kept."""
    place = tmp_path / "home"
    monkeypatch.setenv("PREFECT_ETL_HOME", str(place))
    monkeypatch.delitem(sys.modules, "scratches", raising=False)  # each test has its own
    return place


@pytest.fixture
def leases(home: Path) -> Path:
    return home / "leases"


@pytest.fixture
def environment(tmp_path: Path, home: Path) -> dict[str, str]:
    (tmp_path / "scratches.py").write_text(textwrap.dedent(MODULE), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


@pytest.fixture
def run(tmp_path: Path, environment: dict[str, str]) -> Run:
    """Run Python source, with the module's names, as a program in ``tmp_path``."""

    def run(source: str) -> subprocess.CompletedProcess[str]:
        text = "from scratches import *\n" + textwrap.dedent(source)
        argv = [sys.executable, "-W", "error", "-c", text]
        return subprocess.run(
            argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run
