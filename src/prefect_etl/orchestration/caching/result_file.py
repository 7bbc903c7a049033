"""One result as a file: the value, and what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, BinaryIO, Protocol

from prefect_etl.orchestration.caching.container import Content, Sections
from prefect_etl.orchestration.caching.exact import Decoder, Encoder, NoExactFormError

_OTHER = "other"  # the tag of what somebody else's serializer wrote


class Bytewise(Protocol):
    """Prefect's serializers, as far as they matter here."""

    type: str

    def dumps(self, obj: Any) -> bytes:
        """The value as bytes."""
        ...

    def loads(self, blob: bytes) -> Any:
        """The value of these bytes."""
        ...


def write_value(
    file: BinaryIO, value: Any, about: Mapping[str, Any], other: Bytewise | None = None
) -> None:
    """Write a value to a new file.

    Args:
        file: Open for writing, empty.
        value: The value.
        about: What else the footer shall say; JSON.
        other: The serializer that the user chose instead.

    Raises:
        NoExactFormError: A part of the value has no exact form.
        OSError: The disk is full, for one.
    """
    sections = Sections(file)
    if other is not None:
        tree: Any = {
            "t": _OTHER,
            "type": other.type,
            "v": sections.add_bytes(_dumped(value, other)),
        }
    else:
        try:
            tree = Encoder(sections).encode(value)
        except NoExactFormError as error:
            raise _explained(error) from error
        except RecursionError as error:
            raise _explained(NoExactFormError("nested too deep")) from error
    sections.finish({**about, "kind": _kind(value)}, tree)


def read_value(content: Content, other: Bytewise | None = None) -> Any:
    """The value of a file.

    Args:
        content: The file.
        other: The serializer that the user chose instead. Without it, what one wrote is not read:
            to unpickle is the choice of the task that reads, never of the file.

    Raises:
        DamagedError: The file is not whole.
        LookupError: It was written in another way than it is to be read, or a class is gone.
    """
    tree = content.footer.tree
    written = tree["type"] if isinstance(tree, dict) and tree.get("t") == _OTHER else None
    if written != (other.type if other else None):
        raise LookupError(f"it was written by the serializer {written or 'exact'!r}")
    if other is not None:
        return other.loads(content.as_bytes(tree["v"]))
    return Decoder(content).decode(tree)


def expires_at(about: Mapping[str, Any]) -> datetime | None:
    """When a result expires; None if it does not."""
    text = about.get("expires")
    return datetime.fromisoformat(text) if text else None


def has_expired(about: Mapping[str, Any]) -> bool:
    """Whether a result is too old to be used."""
    moment = expires_at(about)
    return moment is not None and moment <= datetime.now(UTC)


def _kind(value: Any) -> str:
    from prefect_etl.core.frames import frame_kind

    return frame_kind(value) or type(value).__qualname__


def _dumped(value: Any, other: Bytewise) -> bytes:
    try:
        return other.dumps(value)
    except Exception as error:
        # Whatever it raises: the result is not kept, and the task says why.
        raise NoExactFormError(
            f"the serializer {other.type!r} cannot write the result, a {type(value).__qualname__}: "
            f"{type(error).__name__}: {error}"
        ) from error


def _explained(error: NoExactFormError) -> NoExactFormError:
    where = "".join(error.steps)
    what = f"its part `result{where}` is {error.message}" if where else f"it is {error.message}"
    return NoExactFormError(
        f"the result cannot be kept so that it comes back the same: {what}",
        hint=(
            "Return frames, plain values, dataclasses or containers of them; or say "
            '`result_serializer="pickle"`, which trusts whoever can write to the storage; or '
            "`persist_result=False`."
        ),
    )
