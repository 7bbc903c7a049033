"""Which source some data is, and how the options cut it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from prefect_etl.core.frames import frame_kind, is_lazy
from prefect_etl.core.partition import (
    STREAM_BYTES,
    Cut,
    CutAt,
    CutBySize,
    CutEvenly,
    rows_in,
    target_bytes,
)
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.partitions.files import (
    FileSource,
    ParquetSource,
    are_parquet,
    cut_at_groups,
    find_files,
    parquet_blocks,
)
from prefect_etl.orchestration.partitions.frames import FrameSource, as_frame, grouped, size_of
from prefect_etl.orchestration.partitions.options import Options
from prefect_etl.orchestration.partitions.sequences import (
    SequenceSource,
    arrow_tables,
    batched,
    polars_frames,
    refuse_what_is_no_iterable,
)
from prefect_etl.orchestration.partitions.source import Source


@dataclass(frozen=True, slots=True)
class Stream:
    """Partitions that come one after the other; how many is not known."""

    values: Iterator[Any]


def source_of(data: Any, options: Options) -> Source | Stream:
    """The data, cut as the options say.

    Raises:
        ConfigError: The data cannot be cut, or not in this way.
        DataError: The data is damaged.
    """
    if isinstance(data, str | PathLike):
        return _files(find_files(Path(data)), options, single=Path(data).is_file())
    if stream := _lazily(data, options):
        return stream
    frame = as_frame(data if not is_lazy(data) else data.collect())
    if frame is not None:
        return _frame(frame, options)
    refuse_what_is_no_iterable(data)
    return _elements(data, options)


def _lazily(data: Any, options: Options) -> Stream | None:
    if options.by or options.parts:  # the whole is needed to know where to cut
        return None
    target = options.nbytes or STREAM_BYTES
    kind = frame_kind(data)
    if kind == "polars.LazyFrame":
        return Stream(polars_frames(data, options.size, target))
    if kind == "narwhals.LazyFrame" and frame_kind(data.to_native()) == "polars.LazyFrame":
        import narwhals as nw

        return Stream(map(nw.from_native, polars_frames(data.to_native(), options.size, target)))
    if _is_reader(data):
        return Stream(arrow_tables(data, options.size, target))
    return None


def _is_reader(data: Any) -> bool:
    return type(data).__module__.startswith("pyarrow") and hasattr(data, "read_next_batch")


def _frame(frame: Any, options: Options) -> FrameSource:
    if options.by:
        return grouped(frame, options.by)
    rows, nbytes = size_of(frame)
    if options.parts or options.size:
        return FrameSource(frame, _cut(rows, options))
    target = options.nbytes or target_bytes(nbytes, options.concurrency)
    return FrameSource(frame, CutBySize(rows, rows_in(target, rows, nbytes)))


def _cut(rows: int, options: Options) -> Cut:
    if options.parts:
        return CutEvenly(rows, options.parts)
    return CutBySize(rows, options.size or 1)


def _files(paths: Sequence[Path], options: Options, *, single: bool) -> FileSource | ParquetSource:
    if not are_parquet(paths) or (options.unsaid and not single):
        if not options.unsaid:
            raise ConfigError(
                "files are partitions as they are; only Parquet files can be cut further",
                hint="Leave out partition_size, partition_bytes, partitions and by.",
            )
        return FileSource(paths)
    if options.by:
        raise ConfigError(
            "by= needs a frame in memory", hint="Read the file, or write one file a group."
        )
    blocks = [parquet_blocks(path) for path in paths]
    rows = [rows for rows, _ in blocks]
    if options.size:
        cuts: list[Cut] = [CutBySize(sum(r), options.size) for r in rows]
    elif options.parts:
        cuts = _evenly([sum(r) for r in rows], options.parts)
    else:
        cuts = cut_at_groups(blocks, options.nbytes, options.concurrency)
    return ParquetSource(paths, cuts, rows)


def _evenly(rows: Sequence[int], parts: int) -> list[Cut]:
    """Each file's share of the parts, by its rows; a file that has any gets one at least."""
    total = max(sum(rows), 1)
    return [
        CutEvenly(count, max(1, round(parts * count / total))) if count else CutAt(())
        for count in rows
    ]


def _elements(data: Any, options: Options) -> SequenceSource | Stream:
    if options.by or options.nbytes:
        raise ConfigError(
            "by= and partition_bytes= need a frame, not an iterable",
            hint="Leave them out: each element is a partition.",
        )
    if isinstance(data, Sequence):
        whole = options.size is None and options.parts is None
        return SequenceSource(data, None if whole else _cut(len(data), options))
    if options.parts:
        raise ConfigError(
            "partitions= needs data whose length is known", hint="Put the elements in a list."
        )
    return Stream(batched(data, options.size) if options.size else iter(data))
