"""What a task's options become, so that its caching is sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def cache_options(
    fn: Callable[..., Any],  # noqa: ARG001
    options: Mapping[str, Any],
    *,
    new: bool,  # noqa: ARG001
) -> dict[str, Any]:
    """The options for Prefect's ``Task``, from those that the user gave.

    Args:
        fn: The user's function.
        options: As given to the decorator or to ``with_options``.
        new: The task is being made; else only some of its options change.
    """
    return dict(options)
