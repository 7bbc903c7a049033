"""narwhals: the native frame or series, and that it is wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals as nw

from prefect_etl.core.fingerprint.encoding import Refused, leaf, name_of, node, text
from prefect_etl.core.frames import frame_kind

if TYPE_CHECKING:
    from prefect_etl.core.fingerprint.walk import Walk


def encode(walk: Walk, value: Any) -> bytes:
    """The encoding of a frame or series of narwhals; a lazy one is computed.

    Raises:
        Refused: It is neither.
    """
    kind = name_of(type(value))
    if isinstance(value, nw.LazyFrame):
        native = value.to_native()
        if frame_kind(native) is None:  # a query: DuckDB, Ibis, Spark
            native = value.collect().to_native()
    elif isinstance(value, nw.DataFrame | nw.Series):
        native = value.to_native()
        if frame_kind(native) is None:
            native = value.to_arrow()
    elif isinstance(value, nw.dtypes.DType):
        return leaf("narwhals.dtype", text(repr(value)))
    else:
        raise Refused(f"is a {kind.decode()}, whose content is not known")
    return node("narwhals", kind, walk.encode(native))
