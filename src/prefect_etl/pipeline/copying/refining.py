"""Reads again with better types where those that a source guessed did not hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from prefect_etl.connectors.base import Refinable, Source
from prefect_etl.core.unit import Batch
from prefect_etl.errors import ConfigError, EtlError, Retriable

T = TypeVar("T")


def refining(source: Source, batches: Sequence[Batch], work: Callable[[Sequence[Batch]], T]) -> T:
    """Do something with batches; where their guessed types do not hold, begin anew with others.

    Args:
        source: Which may guess again.
        batches: What to do it with.
        work: Called with batches.
    """
    while True:
        try:
            return work(batches)
        except Exception as error:
            better = _refined(source, batches, error)
            if better is None:
                raise
            batches = better


def _refined(source: Source, batches: Sequence[Batch], error: Exception) -> Sequence[Batch] | None:
    import duckdb
    import pyarrow as pa

    hopeless = isinstance(error, Retriable | ConfigError | duckdb.InterruptException)
    foreseen = isinstance(error, EtlError | duckdb.Error | pa.ArrowException)
    if hopeless or not foreseen or not isinstance(source, Refinable):
        return None
    # Who failed is not told by a destination; a batch whose types hold gives nothing better.
    found = (source.refine(batches, batch) for batch in batches)
    return next((better for better in found if better), None)
