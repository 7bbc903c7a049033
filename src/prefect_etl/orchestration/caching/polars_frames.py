"""Polars' frames and columns in its own Arrow IPC, which keeps every type of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any, Literal, cast

import polars as pl

from prefect_etl.orchestration.caching.exact import Decoder, Encoder, Tree, no_exact_form, part

_SAMPLE = 4096  # rows


def encoder_for(kind: type) -> Callable[[Encoder, Any], Tree] | None:
    """What writes values of exactly this class; None if nothing does."""
    encoders: dict[type, Callable[[Encoder, Any], Tree]] = {
        pl.DataFrame: _frame,
        pl.LazyFrame: _lazy,
        pl.Series: _series,
    }
    return encoders.get(kind)


def _frame(encoder: Encoder, value: pl.DataFrame) -> Tree:
    for name, dtype in value.schema.items():
        if _has_objects(dtype):
            with part(f"[{name!r}]"):
                raise no_exact_form(value, "the column holds Python objects")
    compression = _compression(value)
    section = encoder.sections.add(
        lambda file: value.write_ipc(cast("IO[bytes]", file), compression=compression)
    )
    return {"t": "polars.DataFrame", "v": section, "shape": [*value.shape]}


def _compression(frame: pl.DataFrame) -> Literal["lz4", "uncompressed"]:
    # To decode takes Polars longer than to read half as much again, so it has to be worth it.
    sample = frame.slice(frame.height // 2, _SAMPLE)
    packed = len(sample.write_ipc(None, compression="lz4").getvalue())
    plain = len(sample.write_ipc(None, compression="uncompressed").getvalue())
    return "lz4" if packed < plain / 2 else "uncompressed"


def _has_objects(dtype: Any) -> bool:
    if isinstance(dtype, pl.Struct):
        return any(_has_objects(field.dtype) for field in dtype.fields)
    inner = getattr(dtype, "inner", None)
    return dtype == pl.Object or (inner is not None and _has_objects(inner))


def _lazy(encoder: Encoder, value: pl.LazyFrame) -> Tree:
    return {"t": "polars.LazyFrame", "v": _frame(encoder, value.collect())}


def _series(encoder: Encoder, value: pl.Series) -> Tree:
    return {"t": "polars.Series", "v": _frame(encoder, value.to_frame())}


def _read_frame(decoder: Decoder, tree: Mapping[str, Any]) -> pl.DataFrame:
    frame = pl.read_ipc(decoder.sections.as_bytes(tree["v"]))
    if [*frame.shape] != tree["shape"]:
        raise LookupError("a frame without columns that has rows")
    return frame


DECODERS: dict[str, Callable[[Decoder, Mapping[str, Any]], Any]] = {
    "polars.DataFrame": _read_frame,
    "polars.LazyFrame": lambda decoder, tree: decoder.decode(tree["v"]).lazy(),
    "polars.Series": lambda decoder, tree: decoder.decode(tree["v"]).to_series(0),
}
