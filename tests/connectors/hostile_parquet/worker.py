"""The process that reads files, with readers that do what crafted files would make them do."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from pathlib import Path
from typing import Any

_REAL = Path(__file__).parents[3] / "src/prefect_etl/engine/confined_worker.py"
_SPEC = importlib.util.spec_from_file_location("confined_worker", _REAL)
assert _SPEC is not None
assert _SPEC.loader is not None
worker = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(worker)
_rows = worker._rows


def rows(connection: Any, request: dict[str, Any]) -> Any:
    text = f"{request.get('sql')} {request['of']}"
    all_values = "COPY" in text or "hash" in text
    if "crash" in text or ("late" in text and all_values):
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in text:
        time.sleep(60)
    if "spin" in text:
        while True:
            pass
    if "hog" in text:
        return [bytes(1 << 24) for _ in range(1 << 20)]
    if "exit" in text:
        os._exit(3)
    if "flood" in text:
        os.write(1, b"x" * 1000)  # of a library that prints
    return _rows(connection, request)


worker._rows = rows
if __name__ == "__main__":
    worker.main()
