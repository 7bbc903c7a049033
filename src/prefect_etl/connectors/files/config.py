"""What a user says of a folder and of the files in it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self
from urllib.parse import unquote

from pydantic import Field, field_validator

from prefect_etl.connectors.base import ConnectionConfig
from prefect_etl.core.dataset import DatasetSpec, Names

Format = Literal["csv", "tsv", "json", "jsonl", "parquet", "arrow", "excel"]
BadRows = Literal["quarantine", "repair", "fail"]
Nested = Literal["keep", "columns", "json"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".xls": "excel",
    ".xlsb": "excel",
    ".ods": "excel",
}
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}


class FilesConnection(ConnectionConfig):
    """A folder.

    Example:
        >>> FilesConnection.from_uri("file://./data", Path("/project")).folder.as_posix()
        '/project/data'
    """

    folder: Path

    @classmethod
    def from_uri(cls, uri: str, root: Path) -> Self:
        """Parse ``file://./relative`` or ``file:///absolute``."""
        _, _, path = uri.partition(":")
        return cls(folder=(root / (unquote(path.removeprefix("//")) or ".")).absolute())

    @property
    def display(self) -> str:
        """The URI."""
        return f"file://{self.folder}"


class FilesDataset(DatasetSpec):
    """Files that become one table."""

    path: str = Field(
        min_length=1, description="A file, a folder or a glob, below the connection's folder."
    )
    format: Format | None = Field(None, description="Taken from the files' names if not given.")
    nulls: Names = Field(("",), description="Texts that mean null (CSV).")
    delimiter: str | None = Field(None, min_length=1, description="Detected if not given (CSV).")
    quote: str | None = Field(None, max_length=1, description="Detected if not given (CSV).")
    escape: str | None = Field(None, max_length=1, description="Detected if not given (CSV).")
    header: bool | None = Field(None, description="Detected if not given (CSV, Excel).")
    header_lines: int | None = Field(
        None, ge=1, le=10, description="So many lines name the columns together (CSV, Excel)."
    )
    skip: int | None = Field(
        None, ge=0, description="Lines to leave out at the start; detected if not given (CSV)."
    )
    footer: int | None = Field(
        None, ge=0, description="Lines to leave out at the end; detected if not given (CSV)."
    )
    comment: str | None = Field(
        None, min_length=1, description="Lines that begin with it are left out (CSV)."
    )
    encoding: str | None = Field(
        None, min_length=1, description="As Python names it; detected if not given (CSV, JSON)."
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="The decimal sign; detected if not given (CSV)."
    )
    thousands: Literal[",", ".", "'", " ", "_"] | None = Field(
        None, description="The sign between thousands; detected if not given (CSV)."
    )
    dates: Names = Field(
        (), description="Formats of dates and times, as strptime's; detected if not given (CSV)."
    )
    block: int | None = Field(
        None, ge=1, description="Which of several tables in one file, from 1 (CSV)."
    )
    bad_rows: BadRows = Field(
        "quarantine",
        description="Records that cannot be read as rows: quarantine puts them aside, repair mends "
        "what can be mended and tells of it, fail refuses the file (CSV, JSON Lines, Excel).",
    )
    nested: Nested = Field(
        "keep",
        description="Objects in objects: kept as structs, spread over columns (a_b), or kept as "
        "JSON (JSON).",
    )
    records: str | None = Field(
        None,
        min_length=1,
        description="Where the records are: data.items; a list within records makes a child table "
        "(JSON).",
    )
    parent: Names = Field(
        (),
        description="Columns of the record that a list is in, to go with each of its items (JSON).",
    )
    sheet: str | Annotated[int, Field(ge=1)] | None = Field(
        None, description="A sheet's name or number; the only one if not given (Excel)."
    )
    cells: str | None = Field(None, description="Cells to read: B2:F100 (Excel).")
    member: str | None = Field(
        None, min_length=1, description="Which files of an archive, as a glob; all if not given."
    )
    trusted: bool = Field(
        False,
        description="Read without first trying the file in a process of its own (Parquet, Arrow).",
    )

    @field_validator("path")
    @classmethod
    def _below_the_folder(cls, value: str) -> str:
        if PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts:
            raise ValueError(
                "path is relative to the connection's folder and cannot leave it; "
                "put the folder into connection: file://…"
            )
        return value


def format_of(name: str) -> Format | None:
    """The format that a file's name tells, compression aside.

    Example:
        >>> format_of("a.csv.gz"), format_of("b.pq"), format_of("c.md")
        ('csv', 'parquet', None)
    """
    path = PurePosixPath(name.lower())
    if path.suffix in COMPRESSIONS:
        path = path.with_suffix("")
    return _ENDINGS.get(path.suffix)


def compression_of(name: str) -> str | None:
    """The compression that a file's name tells.

    Example:
        >>> compression_of("a.csv.gz"), compression_of("a.csv")
        ('gzip', None)
    """
    return COMPRESSIONS.get(PurePosixPath(name.lower()).suffix)
