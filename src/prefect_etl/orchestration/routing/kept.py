"""Results that are kept for a parent's retry; no change of the first copy reaches them."""

from __future__ import annotations

import copy
import sys
from typing import Any

from prefect.client.schemas.objects import State

from prefect_etl.core.frames import frame_kind

_NEVER_CHANGE = (type(None), bool, int, float, complex, str, bytes)
_CHEAP = {"polars.DataFrame": "clone", "polars.Series": "clone", "numpy.ndarray": "copy"}


class NoCopyError(Exception):
    """A value cannot be copied, so it cannot be kept."""


def independent(value: Any) -> Any:
    """A copy that no change of the original reaches; the rows of frames are shared where they can.

    Raises:
        NoCopyError: The value, or a part of it, cannot be copied.

    Example:
        >>> mine = {"rows": [1, 2]}
        >>> kept = independent(mine)
        >>> mine["rows"].append(3)
        >>> kept
        {'rows': [1, 2]}
    """
    kind = type(value)
    if kind in _NEVER_CHANGE:
        return value
    if kind in (list, tuple, set, frozenset):
        return kind(independent(part) for part in value)
    if kind is dict:
        return {key: independent(part) for key, part in value.items()}
    if isinstance(value, State):
        return _state(value)
    frame = frame_kind(value)
    if frame is not None:
        return _frame(value, frame)
    try:
        return copy.deepcopy(value)
    except Exception as error:  # whatever the user's class raises: it is not kept then
        raise NoCopyError(f"a {kind.__name__} cannot be copied: {error}") from error


def _state(state: State[Any]) -> State[Any]:
    from prefect.results import ResultRecord  # type: ignore[attr-defined]  # it is public there

    if not isinstance(state.data, ResultRecord):
        return state
    record = state.data.model_copy(update={"result": independent(state.data.result)})
    return state.model_copy(update={"data": record})


def _frame(value: Any, kind: str) -> Any:
    if kind.startswith("pyarrow.") or kind.endswith("LazyFrame"):
        return value
    if kind.startswith("pandas."):
        # From pandas 3 on, a change of either makes its own copy of what it changes.
        return value.copy(deep=int(sys.modules["pandas"].__version__.split(".")[0]) < 3)
    return getattr(value, _CHEAP[kind])() if kind in _CHEAP else copy.deepcopy(value)
