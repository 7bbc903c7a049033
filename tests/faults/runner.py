"""Runs pipelines, and kills them, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from shop import BATCH_BYTES

HERE = Path(__file__).parent


class Runner:
    """Runs pipelines, one at a time, each in a fresh process; see ``child.py``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "child.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def pid(self) -> int:
        """The process whose children run the pipelines."""
        return self._process.pid

    def run(self, root: Path, **job: Any) -> dict[str, Any]:
        """Run the pipeline of a folder; ``before=3`` kills it just before its third step."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        job = {"root": str(root), "batch_bytes": BATCH_BYTES} | job
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
