"""Our way to write results, as Prefect knows such ways: named in the metadata of a state."""

from __future__ import annotations

import io
from typing import Any

from prefect.serializers import Serializer
from pydantic import Field, field_validator

from prefect_etl.orchestration.caching.container import MemoryContent
from prefect_etl.orchestration.caching.result_file import read_value, write_value


class ExactSerializer(Serializer):
    """Results by exact type, frames as Arrow IPC; without pickle.

    Args:
        other: What the user chose to turn values into bytes; ours then adds its checks only.

    Example:
        >>> ExactSerializer().loads(ExactSerializer().dumps({"rows": (1, 2)}))
        {'rows': (1, 2)}
    """

    type: str = Field(default="prefect-etl/exact", frozen=True)
    other: Serializer | None = None

    @field_validator("other", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        # As it stands in the metadata of a state.
        return Serializer(**value) if isinstance(value, dict) else value

    def dumps(self, obj: Any) -> bytes:
        """The file of a result, as bytes.

        Raises:
            NoExactFormError: A part of it has no exact form.
        """
        file = io.BytesIO()
        write_value(file, obj, {}, self.other)
        return file.getvalue()

    def loads(self, blob: bytes) -> Any:
        """The value of a file.

        Raises:
            DamagedError: The file is not whole.
            LookupError: A class of it is not there any more.
        """
        return read_value(MemoryContent(blob), self.other)
