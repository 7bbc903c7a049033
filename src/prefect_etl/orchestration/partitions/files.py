"""Files as a source: whole files by their paths, or the rows of Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from glob import glob, has_magic
from pathlib import Path
from typing import Any

from prefect_etl.core.partition import (
    Cut,
    CutAt,
    RowRange,
    blocks_of,
    ends_of,
    join_blocks,
    target_bytes,
)
from prefect_etl.errors import ConfigError, SourceReadError

_PARQUET = (".parquet", ".pq")


def find_files(place: str | Path) -> list[Path]:
    """The files that a path means: itself, those of a folder and the folders in it, or of a glob.

    Hidden ones and those that begin with ``_`` (markers of other tools) are left out of folders.

    Raises:
        ConfigError: There are none.
    """
    path = Path(place).expanduser()
    if path.is_dir():
        inside = (f for f in sorted(path.rglob("*")) if f.is_file())
        found = [f for f in inside if not _hidden(f.relative_to(path))]
    elif path.is_file():
        found = [path]
    elif has_magic(str(path)):
        found = [Path(name) for name in sorted(glob(str(path), recursive=True))]
        found = [f for f in found if f.is_file()]
    else:
        found = []
    if not found:
        raise ConfigError(
            f"there is no file at {place}",
            hint="Give a path, a folder or a glob of files, or put a text in a list.",
        )
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def are_parquet(paths: Sequence[Path]) -> bool:
    """Whether all are Parquet files, by their names."""
    return all(path.suffix.lower() in _PARQUET for path in paths)


def version_of(path: Path) -> str:
    """A file's place, size and time of change: what tells that it is another one."""
    found = path.stat()
    return f"{path.absolute()}:{found.st_size}:{found.st_mtime_ns}"


class FileSource:
    """Whole files; the task gets the path."""

    by_value = False

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths

    def __len__(self) -> int:
        return len(self._paths)

    def describe(self, index: int) -> Any:
        """The path."""
        return self._paths[index]

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """Paths."""
        for index in indices:
            yield self._paths[index]

    def identity(self) -> str:
        """Nothing: each file has its own key, so others may come and go."""
        return "files"

    def key(self, index: int) -> str:
        """The file's path, size and time of change."""
        return version_of(self._paths[index])


class ParquetSource:
    """Rows of one or more Parquet files; the task gets an Arrow table.

    Rows are cut between row groups unless a number of rows is asked for; no partition has rows of
    two files. A packed run that walks through a row group reads it once.

    Args:
        paths: The files.
        cuts: Where each is cut.
        blocks: The rows of each file's row groups.
    """

    by_value = False

    def __init__(
        self, paths: Sequence[Path], cuts: Sequence[Cut], blocks: Sequence[list[int]]
    ) -> None:
        self._paths, self._cuts, self._blocks = paths, cuts, blocks
        self._parts = CutAt((0, *ends_of([len(cut) for cut in cuts])))
        self._ends = ends_of([part.rows for part in self._parts])

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def describe(self, index: int) -> Any:
        """Its rows; with the file's name where there are several."""
        file, rows = self._place(index)
        return rows if len(self._paths) == 1 else f"{self._paths[file]}, {rows}"

    def read(self, indices: Sequence[int]) -> Iterator[Any]:
        """Arrow tables; a row group is held until the next one is asked for."""
        held: tuple[int, range] | None = None
        table: Any = None
        for index in indices:
            file, rows = self._place(index)
            ends = ends_of(self._blocks[file])
            wanted = blocks_of(rows, ends)
            if held != (file, wanted):
                table = None  # before the next is read, so that only one is in memory
                table = _row_groups(self._paths[file], wanted)
                held = file, wanted
            begin = rows.start - (ends[wanted.start - 1] if wanted.start else 0)
            yield table.slice(begin, rows.rows)

    def identity(self) -> str:
        """How the files are cut; a file's own version is in each key."""
        from prefect_etl.core.fingerprint import fingerprint

        return fingerprint([repr(cut) for cut in self._cuts])

    def key(self, index: int) -> str:
        """The file's path, size and time of change, and the rows."""
        file, rows = self._place(index)
        return f"{version_of(self._paths[file])}:{rows.start}:{rows.stop}"

    def _place(self, index: int) -> tuple[int, RowRange]:
        file = blocks_of(RowRange(index, index + 1), self._ends).start
        return file, self._cuts[file][index - self._parts[file].start]


def parquet_blocks(path: Path) -> tuple[list[int], list[int]]:
    """Rows and uncompressed bytes of a file's row groups.

    Raises:
        SourceReadError: It is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceReadError(f"{path} cannot be read as Parquet: {error}") from error
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    return [g.num_rows for g in groups], [g.total_byte_size for g in groups]


def cut_at_groups(
    blocks: Sequence[tuple[list[int], list[int]]], nbytes: int | None, concurrency: int
) -> list[Cut]:
    """Cut files between row groups.

    Args:
        blocks: Rows and bytes of the row groups of each file.
        nbytes: Bytes of a partition, uncompressed; what fits if None.
        concurrency: How many partitions are worked on at once.
    """
    total = sum(sum(sizes) for _, sizes in blocks)
    target = nbytes or target_bytes(total, concurrency)
    return [join_blocks(rows, sizes, target) for rows, sizes in blocks]


def _row_groups(path: Path, wanted: range) -> Any:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        return file.read_row_groups(list(wanted), use_threads=False)
