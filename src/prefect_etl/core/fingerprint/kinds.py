"""Which kind a value is of, and so what encodes it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from prefect_etl.core.fingerprint.containers import EXACT, encoder_of
from prefect_etl.core.fingerprint.walk import Walk

# A library's values can only exist where it is imported already.
_LIBRARIES = {
    "pandas": "of_pandas",
    "polars": "of_polars",
    "pyarrow": "of_arrow",
    "narwhals": "of_narwhals",
    "numpy": "of_numpy",
}


def encoder(value: Any) -> Callable[[Walk, Any], bytes]:
    """What encodes a value that is no leaf.

    Raises:
        Refused: Nothing does.
    """
    return EXACT.get(type(value)) or _of_library(value) or encoder_of(value)


def _of_library(value: Any) -> Callable[[Walk, Any], bytes] | None:
    if isinstance(value, type):
        return None
    for kind in type(value).__mro__:
        library = kind.__module__.partition(".")[0]
        if library in _LIBRARIES and library in sys.modules:
            module = import_module(f"prefect_etl.core.fingerprint.{_LIBRARIES[library]}")
            encode: Callable[[Walk, Any], bytes] = module.encode
            return encode
    return None
