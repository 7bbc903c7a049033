"""Values by their exact type, as JSON and sections of bytes; what has no exact form is refused.

JSON's own types stand for themselves. Everything else is an object ``{"t": tag, ...}``. Nothing is
pickled, and reading runs no code of the value's class: dataclasses, named tuples, enumerations and
pydantic models are found among the modules that are imported already, and filled field by field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from prefect_etl.errors import DataError
from prefect_etl.orchestration.caching.container import Content, Sections

# JSON readers of other languages, and Python's limit on digits, end somewhere above this.
_PLAIN_INTEGER = 2**63
_NATIVE = frozenset({str, bool, type(None)})

Tree = Any


class NoExactFormError(DataError):
    """A result, or a part of it, cannot be kept so that it comes back the same.

    Attributes:
        steps: From the result to the part, outermost first.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.steps: list[str] = []


def no_exact_form(value: object, why: str = "") -> NoExactFormError:
    """The error for a part of a result."""
    kind = type(value)
    reason = f": {why}" if why else ""
    return NoExactFormError(f"a {kind.__module__}.{kind.__qualname__}{reason}")


@contextmanager
def part(step: str) -> Iterator[None]:
    """Name the part of the result that is being written, for the error."""
    try:
        yield
    except NoExactFormError as error:
        error.steps.insert(0, step)
        raise


class Encoder:
    """Writes one value to the file of a result.

    Args:
        sections: Takes what is not JSON.
    """

    def __init__(self, sections: Sections) -> None:
        self.sections = sections
        self._open: set[int] = set()

    def encode(self, value: Any) -> Tree:
        """The value as JSON, its bytes in sections.

        Raises:
            NoExactFormError: It, or a part of it, has no exact form.
        """
        kind = type(value)
        if kind in _NATIVE:
            return value
        if kind is int:
            return value if -_PLAIN_INTEGER < value < _PLAIN_INTEGER else _tag("int", hex(value))
        if kind is float:
            return value if math.isfinite(value) else _tag("float", repr(value))
        if kind is list:
            with self._inside(value):
                return self.items(value)
        return self._tagged(value, kind)

    def items(self, values: Sequence[Any]) -> list[Tree]:
        """The members of a sequence."""
        trees: list[Tree] = []
        try:
            for value in values:
                trees.append(self.encode(value))  # noqa: PERF401 - its length is the position
        except NoExactFormError as error:
            error.steps.insert(0, f"[{len(trees)}]")
            raise
        return trees

    def pairs(self, mapping: dict[Any, Any]) -> list[list[Tree]]:
        """The members of a mapping, in its order."""
        pairs = []
        for key, value in mapping.items():
            with part(f"[{key!r}]"):
                pairs.append([self.encode(key), self.encode(value)])
        return pairs

    def add_bytes(self, data: bytes | memoryview) -> int:
        """Keep bytes in a section of their own; gives its number."""
        return self.sections.add_bytes(data)

    def _tagged(self, value: Any, kind: type) -> Tree:
        from prefect_etl.orchestration.caching.kinds import encoder_for

        encode: Callable[[Encoder, Any], Tree] | None = encoder_for(kind)
        if encode is None:
            raise no_exact_form(value)
        with self._inside(value):
            return encode(self, value)

    @contextmanager
    def _inside(self, value: object) -> Iterator[None]:
        if id(value) in self._open:
            raise no_exact_form(value, "it contains itself")
        self._open.add(id(value))
        try:
            yield
        finally:
            self._open.discard(id(value))


class Decoder:
    """Reads one value from the file of a result.

    Args:
        sections: Of the file.
    """

    def __init__(self, sections: Content) -> None:
        self.sections = sections

    def decode(self, tree: Tree) -> Any:
        """The value.

        Raises:
            LookupError: A class of it is not there any more.
        """
        if type(tree) is list:
            return [self.decode(item) for item in tree]
        if type(tree) is dict:
            from prefect_etl.orchestration.caching.kinds import DECODERS

            return DECODERS[tree["t"]](self, tree)
        return tree


def _tag(tag: str, value: Tree) -> Tree:
    return {"t": tag, "v": value}
