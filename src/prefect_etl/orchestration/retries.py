"""What a retry policy becomes in Prefect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def retry_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for Prefect's ``Task`` or ``Flow``, from those that the user gave."""
    return dict(options)


def retrying(fn: Callable[..., Any], policy: Any) -> Callable[..., Any]:  # noqa: ARG001
    """The function, with what of the policy happens inside a call."""
    return fn
