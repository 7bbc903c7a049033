"""narwhals: the native frame or series, and that it is wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from prefect_etl.core.fingerprint.containers import encoder_of
from prefect_etl.core.fingerprint.encoding import leaf, name_of, node, text
from prefect_etl.core.frames import frame_kind

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a frame or series of narwhals; a lazy one is computed.

    Raises:
        Refused: It is neither.
    """
    if isinstance(value, nw.dtypes.DType):
        return leaf("narwhals.dtype", text(repr(value)))
    if not isinstance(value, nw.LazyFrame | nw.DataFrame | nw.Series):
        return encoder_of(value)(walk, value)
    native = value.to_native()
    if frame_kind(native) is None:  # a query of DuckDB, Ibis or Spark; a frame of Modin or cuDF
        eager = value.collect() if isinstance(value, nw.LazyFrame) else value
        native = eager.to_arrow()
    return node("narwhals", name_of(type(value)), walk.encode(native))
