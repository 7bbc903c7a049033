"""Finds users' functions by ``module:name``, calls them, and says where they failed."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from prefect_etl.core.nearest import did_you_mean
from prefect_etl.errors import ConfigError

_LOADING = threading.Lock()
# The state of each file when its module was loaded, so that an edit is seen in the same process.
_loaded: dict[Path, tuple[int, int]] = {}


def is_reference(text: str) -> bool:
    """Whether a text has the form ``module:name``.

    Example:
        >>> is_reference("jobs.orders:fetch"), is_reference("orders.fetch")
        (True, False)
    """
    module, colon, name = text.partition(":")
    parts = [*module.split("."), *name.split(".")]
    return bool(colon) and all(part.isidentifier() for part in parts)


def reference_of(function: object) -> str:
    """How a function is written as ``module:name``; for people, it need not be importable."""
    if isinstance(function, str):
        return function
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}:{named.__qualname__}"


def load_object(reference: str, root: Path) -> Any:
    """What ``module:name`` names; a module of the folder comes before an installed one.

    The folder is put first on Python's path, so that the module can import its neighbours. A module
    whose file changed is loaded anew.

    Args:
        reference: ``module:name``; both may have dots.
        root: The folder.

    Raises:
        ConfigError: There is no such module or name, or the module cannot be imported.
    """
    module_name, _, name = reference.partition(":")
    with _LOADING:
        module = _load_module(module_name, root.resolve(), reference)
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = did_you_mean(part, [n for n in dir(found) if not n.startswith("_")])
            raise ConfigError(
                f"{reference}: {module.__file__ or module_name} has no {part}{near}",
                hint="Write module:name, as it is defined in the module.",
            ) from None
    return found


def _load_module(name: str, root: Path, reference: str) -> ModuleType:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    path = next((p.resolve() for p in candidates if p.is_file()), None)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        if path is None:
            return importlib.import_module(name)
        return _load_file(name, path)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            near = did_you_mean(name, [p.stem for p in root.glob("*.py")])
            raise ConfigError(
                f"{reference}: there is no module {name} in {root}{near}",
                hint="The module is a file in the folder of the pipeline, or an installed package.",
            ) from error
        raise _broken(reference, path, error) from error
    except (Exception, SystemExit) as error:  # a user's module may raise anything when imported
        raise _broken(reference, path, error) from error


def _load_file(name: str, path: Path) -> ModuleType:
    status = path.stat()
    now = (status.st_mtime_ns, status.st_size)
    module = _module_of(name, path)
    if module is not None:
        if _loaded.setdefault(path, now) != now:
            module = importlib.reload(module)
            _loaded[path] = now
        return module
    importlib.invalidate_caches()
    if name in sys.modules or name.partition(".")[0] in sys.stdlib_module_names:
        # Another pipeline's module, or Python's own, has this name: it keeps it.
        module = _load_apart(_private_name(name, path), path)
    else:
        module = importlib.import_module(name)
    _loaded[path] = now
    return module


def _module_of(name: str, path: Path) -> ModuleType | None:
    for known in (name, _private_name(name, path)):
        module = sys.modules.get(known)
        if module is not None and module.__file__ and Path(module.__file__).resolve() == path:
            return module
    return None


def _private_name(name: str, path: Path) -> str:
    return f"_prefect_etl_{sha256(str(path).encode()).hexdigest()[:12]}_{name.replace('.', '_')}"


def _load_apart(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:  # whatever the user's module raised: half a module must not stay
        del sys.modules[name]
        raise
    return module


def _broken(reference: str, path: Path | None, error: BaseException) -> ConfigError:
    return ConfigError(
        f"{reference}: importing {path or 'it'} failed: {type(error).__name__}: {error}",
        hint="Mend the module; what stands outside its functions runs when it is imported.",
    )


def arguments_for(
    function: Any, reference: str, optional: Mapping[str, Any], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call.

    Args:
        function: What is called.
        reference: Its name, for errors.
        optional: Given where the function has a parameter of that name.
        parameters: What the user wants to give.

    Raises:
        ConfigError: A parameter is unknown, or one that has no default is missing.

    Example:
        >>> arguments_for(lambda cursor, n: None, "m:f", {"cursor": None, "page": 1}, {"n": 2})
        {'cursor': None, 'n': 2}
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions do not say
        return dict(parameters)
    keywords = {
        name: p
        for name, p in signature.parameters.items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
    }
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    unknown = [name for name in parameters if name not in keywords and not takes_any]
    if unknown:
        raise ConfigError(
            f"{reference} has no parameter {unknown[0]}{did_you_mean(unknown[0], keywords)}",
            hint=f"Its parameters: {', '.join(keywords) or 'none'}.",
        )
    given = {k: v for k, v in optional.items() if k in keywords and k not in parameters}
    given |= parameters
    missing = [n for n, p in keywords.items() if p.default is p.empty and n not in given]
    if missing:
        raise ConfigError(
            f"{reference} needs {', '.join(missing)}",
            hint="Give values with parameters: {name: value}.",
        )
    return given


def place_of(error: BaseException, root: Path) -> str:
    """Where in the user's code an exception came from: ``models.py, line 12``; may be empty."""
    frames = traceback.extract_tb(error.__traceback__)
    mine = [frame for frame in frames if Path(frame.filename).is_relative_to(root.resolve())]
    own = str(Path(__file__).parents[1])
    others = [frame for frame in frames if not frame.filename.startswith(own)]
    chosen = (mine or others)[-1:]
    return "".join(f"{Path(frame.filename).name}, line {frame.lineno}" for frame in chosen)
