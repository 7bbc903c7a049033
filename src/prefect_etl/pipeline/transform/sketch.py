"""A function's parameters, read from its text: planning need not wait for the import of pandas."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from prefect_etl.pipeline.transform.source import module_files

# Spellings of frames that mean the same in every module.
_PLAIN = frozenset({"pd.DataFrame", "pl.DataFrame", "pl.LazyFrame", "pa.Table"})


def sketch_of(reference: str, root: Path) -> Callable[..., Any] | None:
    """Something with the signature of a function of a module in ``root``, to be looked at only.

    Args:
        reference: ``module:function``.
        root: The pipeline's folder.

    Returns:
        None where the text does not tell for sure: a decorated function, one that is made in
        another way or elsewhere, or an annotation that only its module can explain.
    """
    module, _, name = reference.partition(":")
    file = module_files(module, root.resolve()).get(module)
    found = _definition(file, name) if file else None
    if found is None or not all(map(_is_plain, _arguments(found))):
        return None

    def sketch() -> None:
        raise AssertionError(f"this is only the signature of {reference}")

    sketch.__signature__ = inspect.Signature(list(_parameters(found)))  # type: ignore[attr-defined]
    return sketch


def _definition(file: Path, name: str) -> ast.FunctionDef | None:
    try:
        body = ast.parse(file.read_bytes()).body
    except (OSError, SyntaxError, ValueError):
        return None  # importing it will say so
    defined = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    plain = len(defined) == 1 and not defined[0].decorator_list
    return defined[0] if plain and not _rebound(body, name) else None


def _rebound(body: list[ast.stmt], name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)
        for statement in body
        for node in ast.walk(statement)
    )


def _arguments(function: ast.FunctionDef) -> list[ast.arg]:
    return [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]


def _is_plain(argument: ast.arg) -> bool:
    return argument.annotation is None or _text(argument) in _PLAIN | {
        "int",
        "float",
        "str",
        "bool",
    }


def _text(argument: ast.arg) -> str | None:
    return ast.unparse(argument.annotation).strip("'\"") if argument.annotation else None


def _parameters(function: ast.FunctionDef) -> Iterator[inspect.Parameter]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    optional = {arg.arg for arg in positional[len(positional) - len(given.defaults) :]}
    optional |= {
        arg.arg for arg, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default
    }

    def parameter(argument: ast.arg, kind: Any) -> inspect.Parameter:
        return inspect.Parameter(
            argument.arg,
            kind,
            default=None if argument.arg in optional else inspect.Parameter.empty,
            annotation=_text(argument) or inspect.Parameter.empty,
        )

    for argument in given.posonlyargs:
        yield parameter(argument, inspect.Parameter.POSITIONAL_ONLY)
    for argument in given.args:
        yield parameter(argument, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if given.vararg:
        yield parameter(given.vararg, inspect.Parameter.VAR_POSITIONAL)
    for argument in given.kwonlyargs:
        yield parameter(argument, inspect.Parameter.KEYWORD_ONLY)
    if given.kwarg:
        yield parameter(given.kwarg, inspect.Parameter.VAR_KEYWORD)
