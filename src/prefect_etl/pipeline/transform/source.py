"""The text behind a transformation, read without running it: SQL, or the files of a function.

A function is made of the file of its module and of the files beside it that this file imports, and
so on: when one of them changes, so may the function.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from prefect_etl.core.transformation import TransformationSpec
from prefect_etl.errors import ConfigError


def digest(data: bytes | str) -> str:
    """A short name for a content.

    Example:
        >>> digest("SELECT 1")
        'e004ebd5b5532a4b85984a62f8ad48a8'
    """
    return sha256(data.encode() if isinstance(data, str) else data).hexdigest()[:32]


def sql_text(spec: TransformationSpec, root: Path) -> str | None:
    """The SQL of a transformation, from its file if it names one; None for a Python function.

    Raises:
        ConfigError: The file cannot be read.
    """
    if spec.sql is None or not spec.sql.endswith(".sql") or "\n" in spec.sql:
        return spec.sql
    path = (root / spec.sql).resolve()
    if not path.is_relative_to(root.resolve()):
        raise ConfigError(
            f"{spec.name}: {spec.sql} is outside the folder of the pipeline, {root}",
            hint="Put it in that folder.",
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{spec.name}: {path} cannot be read: {error}", hint="Check its path, in UTF-8."
        ) from error


def function_digest(function: str | Callable[..., Any], root: Path) -> str | None:
    """Changes when the code of a function may have changed; None where that cannot be told.

    Of a function that was given in Python it is its file, or its own text in a notebook.
    """
    if isinstance(function, str):
        module, _, _ = function.partition(":")
        files = module_files(module, root.resolve()) or _installed(module)
        return digest(f"{function}\n{_digests(files)}") if files else None
    code = _code(function)
    path = Path(code.co_filename) if code else None
    if path is not None and path.is_file():
        return digest(f"{getattr(code, 'co_qualname', '')}\n{digest(path.read_bytes())}")
    try:
        return digest(inspect.getsource(code)) if code else None
    except (OSError, TypeError):
        return None


def _digests(files: Mapping[str, Path]) -> str:
    return "\n".join(f"{name} {digest(files[name].read_bytes())}" for name in sorted(files))


def _code(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    inner = inspect.unwrap(function)
    if not hasattr(inner, "__code__"):
        inner = getattr(type(inner), "__call__", None)  # noqa: B004 - its code is wanted
    return getattr(inner, "__code__", None)


def _installed(module: str) -> dict[str, Path]:
    """The file of an installed module; what it imports is not followed."""
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return {}
    origin = found.origin if found else None
    return {module: Path(origin)} if origin and Path(origin).is_file() else {}


def module_files(module: str, root: Path) -> dict[str, Path]:
    """The file of a module in a folder and of all modules of that folder that it imports.

    Args:
        module: With dots.
        root: The folder.

    Returns:
        File by name of module; empty if the folder has no such module.
    """
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        for name in _with_parents(waiting.pop()):
            path = _file(name, root)
            if path is None or name in found:
                continue
            found[name] = path
            waiting += _imports(path, name)
    return found if module in found else {}


def _with_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def _file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _imports(path: Path, name: str) -> Iterator[str]:
    """Names of modules that a file may import; also names of things in them."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return  # importing it will say so
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" if base else alias.name for alias in node.names)
