"""The cache policy whose key is the content: of the arguments, and of the task's code."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PosixPath
from types import CellType, CodeType, FunctionType
from typing import Any
from uuid import UUID

from prefect.cache_policies import CachePolicy, CompoundCachePolicy
from prefect.context import TaskRunContext

from prefect_etl.errors import DataError

_CONSTANTS = (
    *(type(None), bool, int, float, complex, str, bytes, Decimal, UUID, PosixPath),
    *(date, datetime, time, timedelta),
)


@dataclass
class FrameInputs(CachePolicy):
    """A key from the task, its code and the content of its arguments, frames included.

    Two calls have the same key if the same function, with the same code, gets equal content:
    whatever the chunks, slices or memory layout of a frame, and in every process. What a function
    takes from around itself counts where it is a constant (text, a number, a date, another
    function); the content of mutable objects and globals does not.

    Args:
        exclude: Names of arguments that do not matter; ``FrameInputs() - "debug"`` adds one.

    Example:
        >>> from prefect.cache_policies import TASK_SOURCE
        >>> policy = FrameInputs() + TASK_SOURCE - "debug"
        >>> policy.policies[0].exclude
        ['debug']
    """

    exclude: list[str] = field(default_factory=list)

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002 - Prefect's call
        **kwargs: Any,  # noqa: ARG002 - Prefect's call
    ) -> str | None:
        """The key of a call.

        Raises:
            DataError: An argument has no exact content; the message names it.
        """
        from prefect_etl.core.fingerprint import FingerprintError, fingerprint

        keys = {}
        for name, value in (inputs or {}).items():
            if name in self.exclude:
                continue
            try:
                keys[name] = fingerprint(value, name=f"argument {name!r}")
            except FingerprintError as error:
                raise DataError(
                    error.message,
                    hint=f"Leave it out with `FrameInputs() - {name!r}`, or pass its content.",
                ) from error
        identity = _identity(task_ctx.task.fn) if task_ctx else None
        return fingerprint([identity, keys])

    def __sub__(self, other: str) -> CachePolicy:
        """The same policy without one argument."""
        if not isinstance(other, str):
            raise TypeError("Only names of arguments can be taken from a cache policy.")
        return replace(self, exclude=[*self.exclude, other])

    def __add__(self, other: CachePolicy) -> CachePolicy:
        """Both policies: the key changes where either's does."""
        joined = super().__add__(other)
        return FrameCompound.of(joined) if isinstance(joined, CompoundCachePolicy) else joined


@dataclass
class FrameCompound(CompoundCachePolicy):
    """Prefect's compound policy, whose ``-`` reaches `FrameInputs` too."""

    @classmethod
    def of(cls, compound: CompoundCachePolicy) -> FrameCompound:
        """Prefect's compound policy as one of ours."""
        return cls(
            policies=compound.policies,
            key_storage=compound.key_storage,
            isolation_level=compound.isolation_level,
            lock_manager=compound.lock_manager,
        )

    def __sub__(self, other: str) -> CachePolicy:
        """The same policies without one argument."""
        less = super().__sub__(other)
        if not isinstance(less, CompoundCachePolicy):
            return less
        policies = [p - other if isinstance(p, FrameInputs) else p for p in less.policies]
        return self.of(replace(less, policies=policies))

    def __add__(self, other: CachePolicy) -> CachePolicy:
        """All the policies."""
        joined = super().__add__(other)
        return self.of(joined) if isinstance(joined, CompoundCachePolicy) else joined


def _identity(fn: Callable[..., Any]) -> list[str]:
    """Which function it is, and its code; a wrapper (a retry policy's) is looked through."""
    from prefect_etl.core.fingerprint import fingerprint

    found: Any = inspect.unwrap(fn)
    found = getattr(found, "__func__", found)
    if not isinstance(found, FunctionType):  # an object that can be called
        found = inspect.unwrap(type(found).__call__)
    name = f"{found.__module__}.{found.__qualname__}"
    return [name, fingerprint(_constant_part(found), name=f"the code of {name}")]


def _constant_part(fn: FunctionType) -> FunctionType:
    """The function without the state that it holds.

    Defaults are left out: they are among the arguments of a call.
    """
    changed = set(_assigned(fn.__code__))
    cells = [
        _constant_cell(cell) if name not in changed else CellType()
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)
    ]
    part = FunctionType(fn.__code__, fn.__globals__, fn.__name__, None, tuple(cells))
    part.__qualname__, part.__module__ = fn.__qualname__, fn.__module__
    return part


def _constant_cell(cell: CellType) -> CellType:
    try:
        content = cell.cell_contents
    except ValueError:
        return CellType()
    if isinstance(content, FunctionType) and content.__closure__ is None:
        return CellType(_constant_part(content))
    return CellType(content) if _is_constant(content) else CellType()


def _is_constant(value: Any) -> bool:
    if type(value) in (tuple, frozenset):
        return all(map(_is_constant, value))
    return type(value) in _CONSTANTS or isinstance(value, Enum)


def _assigned(code: CodeType) -> Iterator[str]:
    """Names from around that the code assigns to: counters, not constants."""
    for step in dis.get_instructions(code):
        if step.opname in {"STORE_DEREF", "DELETE_DEREF"}:
            yield str(step.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _assigned(constant)
