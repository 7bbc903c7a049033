"""How references are handed to tasks."""

from __future__ import annotations

from typing import TypeVar, cast

from prefect.utilities.annotations import opaque

T = TypeVar("T")


def as_it_is(value: T) -> T:
    """Mark an argument of a task that holds no futures; the task gets the value itself.

    Prefect looks through every part of an argument for futures, which takes a second for a load of
    10,000 files, and again for each task.
    """
    return cast("T", opaque(value))
