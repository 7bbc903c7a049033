"""Frames of three libraries, taken apart by rows: what stays is the library's own, unchanged."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect_etl.core.frames import frame_kind
from prefect_etl.core.nearest import did_you_mean
from prefect_etl.engine.arrow import NotArrowError, frame_reader, plain
from prefect_etl.errors import ConfigError, DataError, SchemaError

_KINDS = (
    "pandas.DataFrame",
    "polars.DataFrame",
    "polars.LazyFrame",
    "pyarrow.Table",
    "pyarrow.RecordBatch",
)


def assert_frame(frame: Any) -> str:
    """The kind of a frame.

    Raises:
        ConfigError: It is none of pandas, Polars or Arrow.
    """
    kind = frame_kind(frame)
    if kind not in _KINDS:
        raise ConfigError(
            f"a {type(frame).__name__} is no frame of pandas, Polars or Arrow",
            hint="Convert it first; of a narwhals frame, to_native() is the frame itself.",
        )
    return kind


def column_names(frame: Any) -> list[Any]:
    """The names of a computed frame's columns, as they are."""
    if frame_kind(frame) in ("pyarrow.Table", "pyarrow.RecordBatch"):
        return list(frame.schema.names)
    return list(frame.columns)


def assert_columns(frame: Any, names: Sequence[str]) -> None:
    """Make sure that a frame has some columns, each once.

    Raises:
        SchemaError: It has not; names the nearest.
    """
    known = column_names(frame)
    texts = [name for name in known if isinstance(name, str)]
    for name in names:
        found = texts.count(name)
        if found > 1:
            raise SchemaError(f"the frame has {found} columns with the name {name}")
        if not found:
            raise SchemaError(
                f"the contract speaks of a column {name}, which the frame does not have"
                f"{did_you_mean(name, texts)}",
                hint=f"It has: {', '.join(map(str, known))}.",
            )


def as_arrow(frame: Any, names: Sequence[str], text: Collection[str] = ()) -> Any:
    """Some columns of a computed frame as an Arrow table; a NaN of pandas is a null.

    Args:
        frame: The frame.
        names: The columns, which it has.
        text: Those that become text where their values are of kinds that do not go together.

    Raises:
        DataError: A column's values do not fit into Arrow.
    """
    import pyarrow as pa

    kind = frame_kind(frame)
    if kind == "pandas.DataFrame":
        chosen = frame.loc[:, list(names)].reset_index(drop=True)
    else:
        chosen = frame.select(list(names))
    if kind == "polars.DataFrame":
        chosen = _without_categories(chosen)
    with tempfile.TemporaryDirectory() as folder:
        try:
            reader = frame_reader(chosen, Path(folder))
        except NotArrowError as error:
            if kind != "pandas.DataFrame" or not text:
                raise DataError(str(error), hint="Give the column one type.") from error
            others = [name for name in names if name not in text]
            return as_arrow(objects_as_text(chosen, but=others), names)
        schema, batches = reader.schema, [plain(batch) for batch in reader]
    if not batches:
        batches = [plain(pa.RecordBatch.from_pylist([], schema))]
    return pa.Table.from_batches(batches)


def objects_as_text(frame: Any, *, but: Collection[str] = ()) -> Any:
    """A frame of pandas with its columns of Python objects as text; others as they are.

    Args:
        frame: Of any library.
        but: Columns that stay.
    """
    if frame_kind(frame) != "pandas.DataFrame":
        return frame
    changed = frame.copy(deep=False)
    for name, kind in frame.dtypes.items():
        if str(kind) == "object" and name not in but:
            changed[name] = frame[name].where(frame[name].isna(), frame[name].map(str))
    return changed


def _without_categories(frame: Any) -> Any:
    """A frame of Polars with text for categories: Arrow cannot decode theirs."""
    import polars as pl

    kinds = frame.schema.items()
    texts = [name for name, kind in kinds if isinstance(kind, pl.Categorical | pl.Enum)]
    return frame.with_columns(pl.col(texts).cast(pl.String)) if texts else frame


def rows_at(frame: Any, mask: Any) -> Any:
    """The rows of a computed frame where a mask (NumPy, one boolean a row) is true."""
    kind = frame_kind(frame)
    if kind == "pandas.DataFrame":
        return frame.loc[mask]
    if kind == "polars.DataFrame":
        import polars as pl

        return frame.filter(pl.Series(mask, dtype=pl.Boolean))
    import pyarrow as pa

    condition = pa.array(mask, pa.bool_())
    try:
        return frame.filter(condition)
    except pa.ArrowNotImplementedError:  # of views and run-end encoding, as of Arrow 26
        pieces = [frame.slice(start, length) for start, length in _runs(mask)]
    if kind == "pyarrow.RecordBatch":
        return pa.concat_batches(pieces) if pieces else frame.slice(0, 0)
    return pa.concat_tables(pieces) if pieces else frame.slice(0, 0)


def _runs(mask: Any) -> Iterator[tuple[int, int]]:
    """Where rows in a row are true: start and length."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield start, end - start


def with_columns(frame: Any, columns: Any) -> Any:
    """A computed frame with the columns of an Arrow table behind its own, or in their place.

    Args:
        frame: The frame.
        columns: As many rows.
    """
    kind = frame_kind(frame)
    if kind == "pandas.DataFrame":
        import pandas as pd

        kept = frame.drop(columns=[n for n in columns.schema.names if n in frame.columns])
        added = {
            name: pd.Series(_python_values(columns[name]), index=frame.index)
            for name in columns.schema.names
        }
        return kept.assign(**added)
    if kind == "polars.DataFrame":
        import polars as pl

        added_frame: Any = pl.from_arrow(columns)
        return frame.with_columns(added_frame.get_columns())
    import pyarrow as pa

    table = pa.Table.from_batches([frame]) if kind == "pyarrow.RecordBatch" else frame
    for name in columns.schema.names:
        if name in table.schema.names:
            table = table.drop_columns([name])
        table = table.append_column(columns.schema.field(name), columns[name])
    return table.combine_chunks().to_batches()[0] if _is_batch(kind, table) else table


def _is_batch(kind: str | None, table: Any) -> bool:
    return kind == "pyarrow.RecordBatch" and table.num_rows > 0


def _python_values(column: Any) -> Any:
    """A column of numbers, or of lists of text, as NumPy's; equal lists are one tuple."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_list(column.type):
        return column.to_numpy()
    joined = pc.binary_join(column, "\0").combine_chunks().dictionary_encode()
    known = np.empty(len(joined.dictionary), dtype=object)
    known[:] = [tuple(text.split("\0")) for text in joined.dictionary.to_pylist()]
    return known[joined.indices.to_numpy(zero_copy_only=False)]
