"""The key of a value."""

from __future__ import annotations

from prefect_etl.core.fingerprint.encoding import FingerprintError, Refused, node
from prefect_etl.core.fingerprint.kinds import encoder
from prefect_etl.core.fingerprint.walk import Walk

# Part of every key: a change of any encoding needs a new one, or old results would be found again.
VERSION = "f1"


def fingerprint(value: object, *, name: str = "value") -> str:
    """A key that is the same for the same content, and only for it.

    The same in every process and on every machine with the same versions of Python and libraries.
    Chunks, slices, memory layout and the bytes under nulls do not matter; names, types, the order
    of rows and the index do. ``True``, ``1``, ``1.0`` and ``"1"`` differ; the order of a dict does
    not matter, because it does not to ``==``. A lazy frame is computed.

    Args:
        value: A frame, column or array of pandas, Polars, Arrow, narwhals or NumPy, or a plain
            value: numbers, text, dates, containers, dataclasses, pydantic models, functions.
        name: What errors call the value.

    Returns:
        A name of 35 characters, fit for a file's.

    Raises:
        FingerprintError: The value, or one within it, has no exact content, or contains itself;
            the message names its place.

    Example:
        >>> fingerprint({"a": 1, "b": [2.0, None]}) == fingerprint({"b": [2.0, None], "a": 1})
        True
        >>> fingerprint(1) == fingerprint(True)
        False
        >>> fingerprint([1, object()])
        Traceback (most recent call last):
        prefect_etl.core.fingerprint.encoding.FingerprintError: value[1] is an object, ...
    """
    try:
        encoded = Walk(encoder).encode(value)
    except Refused as refused:
        raise _error(name, refused) from None
    except RecursionError:
        raise _error(name, Refused("is nested too deeply")) from None
    return f"{VERSION}-{node(VERSION, encoded)[-16:].hex()}"


def _error(name: str, refused: Refused) -> FingerprintError:
    return FingerprintError(
        f"{name}{''.join(refused.path)} {refused.reason}, so it has no content key",
        hint="Pass its content as a frame or plain values, or leave it out of the key.",
    )
