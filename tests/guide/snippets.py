"""The guide's snippets as modules: their text as it stands, but for the import lines."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

GUIDE = Path(__file__).with_name("guide.md")
_SNIPPET = re.compile(r"### (\d)\. [^\n]*\n```python\n(.*?)```", re.DOTALL)
_IMPORT = re.compile(r"^from prefect[\w.]* import ", re.MULTILINE)
# What the guide uses in one snippet and imports in another, or leaves to its reader.
_READERS = """\
import asyncio
from typing import Dict, List

import pandas as pd

"""


def text_of(number: int) -> str:
    """A snippet with its import lines changed, and nothing else."""
    snippets = {int(found[1]): found[2] for found in _SNIPPET.finditer(GUIDE.read_text())}
    return _IMPORT.sub("from prefect_etl import ", snippets[number])


def module_of(number: int, folder: Path, supplied: str = "") -> ModuleType:
    """A snippet as a module of its own.

    Args:
        number: As in the guide.
        folder: Where its file is written.
        supplied: Definitions of the names that the snippet leaves to its reader.
    """
    path = folder / f"guide_{number}.py"
    path.write_text(_READERS + supplied + "\n\n" + text_of(number))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
