"""``check``: a frame against a contract, whose failure raises an error that Prefect knows.

Prefect is imported where there is something to raise; checking costs no more than the check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from prefect_etl.core.contract import Contract
from prefect_etl.pipeline.check_frame import check_frame
from prefect_etl.utils.validation import Failure

F = TypeVar("F")


def check(
    frame: F, contract: Contract | Mapping[str, Any], *, memory_limit: str = "1GiB"
) -> tuple[F, Failure[F]]:
    """Tell the rows of a frame that keep a contract from those that do not.

    Rules are those of the pipeline file. Values are converted to a rule's ``type`` for the check
    only: good rows come back as they were, in the same library, with the same columns, types and
    (pandas) index. Where the contract says ``on_violation: warn`` all rows are good.

    Args:
        frame: A frame of pandas or Polars (lazy ones are computed), an Arrow table or record batch.
            A NaN of pandas is a null.
        contract: A ``Contract``, or what stands under ``contract:`` in a pipeline file.
        memory_limit: What the engine may use beside the frame: ``1GiB``.

    Returns:
        The good rows, and the failure: false where there is none; with ``rows``, ``counts``,
        ``raise_if_any()``.

    Raises:
        ConfigError: It is no frame, or no contract.
        SchemaError: The frame has no column of a name in the contract; says the nearest.
        DataError: A rule cannot be applied to the values of its column.

    Example:
        >>> import polars as pl
        >>> flights = pl.DataFrame({"origin": ["JFK", "XXX"], "distance": [200, -1]})
        >>> contract = {"columns": {"origin": {"isin": ["JFK"]}, "distance": {"ge": 0}}}
        >>> good, failure = check(flights, contract)
        >>> good.height, failure.counts
        (1, {'origin.isin': 1, 'distance.ge': 1})
    """
    return check_frame(frame, contract, error=_error, memory_limit=memory_limit)


def _error(failure: Failure[Any], message: str) -> Exception:
    from prefect_etl.orchestration.validation import DataValidationError

    return DataValidationError(message, failure=failure)
