"""The user's own cache keys: what their function gets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter
from typing import Any

from prefect.cache_policies import CachePolicy
from prefect.context import TaskRunContext

from prefect_etl.errors import ConfigError

KeyFunction = Callable[..., str | None]
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass
class CallKey(CachePolicy):
    """The key that the user's ``cache_key_fn`` makes of a call.

    A function that takes exactly two parameters gets Prefect's own arguments: the context, and the
    bound arguments as one mapping. Any other gets a context whose ``task_run.name`` is the task's
    name, without the number that Prefect adds, and the bound arguments themselves, in their order
    however the call spelled them.

    Args:
        function: The user's function.
    """

    function: KeyFunction | None = None

    def compute_key(
        self,
        task_ctx: TaskRunContext,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],  # noqa: ARG002 - Prefect's call
        **kwargs: Any,  # noqa: ARG002 - Prefect's call
    ) -> str | None:
        """The key of a call; None if the function says that there is none.

        Raises:
            ConfigError: What the function gave is no text.
        """
        if self.function is None:
            return None
        key: Any = self._call(self.function, task_ctx, inputs)
        if key is not None and not isinstance(key, str):
            raise ConfigError(
                f"it returned a {type(key).__name__}", hint="Return text, or None for no caching."
            )
        return key

    def _call(self, function: KeyFunction, context: TaskRunContext, inputs: dict[str, Any]) -> Any:
        parameters = parameters_of(function)
        if parameters is None or takes_prefects_arguments(parameters):
            return function(context, inputs)
        if _takes_names_only(parameters):
            named = _asked_for(parameters, inputs_by_name(context.task, inputs))
            return function(stable_context(context), **named)
        args, kwargs = call_arguments(context.task, inputs)
        return function(stable_context(context), *args, **kwargs)


def parameters_of(function: KeyFunction) -> list[Parameter] | None:
    """The parameters of a function; None where they are not known (some built-in ones)."""
    try:
        return [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return None


def takes_prefects_arguments(parameters: list[Parameter]) -> bool:
    """Whether a key function is one for Prefect: of a context and a mapping.

    Example:
        >>> def key(context, inputs): ...
        >>> takes_prefects_arguments(parameters_of(key))
        True
        >>> takes_prefects_arguments(parameters_of(lambda context, *args, **kwargs: ""))
        False
    """
    if any(p.kind in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD) for p in parameters):
        return False
    if any(p.kind is Parameter.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return False
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    needed = [p for p in positional if p.default is p.empty]
    return len(positional) >= 2 and len(needed) <= 2


def _takes_names_only(parameters: list[Parameter]) -> bool:
    places = [p for p in parameters if p.kind in (*_POSITIONAL, Parameter.VAR_POSITIONAL)]
    return len(places) < 2


def _asked_for(parameters: list[Parameter], named: dict[str, Any]) -> dict[str, Any]:
    if any(p.kind is Parameter.VAR_KEYWORD for p in parameters):
        return named
    names = {p.name for p in parameters}
    return {name: value for name, value in named.items() if name in names}


def stable_context(context: TaskRunContext) -> TaskRunContext:
    """The context, whose ``task_run.name`` is the same in every run."""
    run = context.task_run.model_copy(update={"name": context.task.name})
    return context.model_copy(update={"task_run": run})


def call_arguments(task: Any, inputs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The bound arguments of a task's call, in the order of its parameters, defaults included.

    Args:
        task: The task; the object of a method is none of its arguments.
        inputs: By name, as Prefect binds them.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for parameter in _parameters(task, inputs):
        value = inputs[parameter.name]
        if parameter.kind is Parameter.VAR_POSITIONAL:
            args.extend(value)
        elif parameter.kind is Parameter.VAR_KEYWORD:
            kwargs.update(value)
        elif parameter.kind is Parameter.KEYWORD_ONLY:
            kwargs[parameter.name] = value
        else:
            args.append(value)
    return args, kwargs


def inputs_by_name(task: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The bound arguments by name, those of ``**kwargs`` among them."""
    named: dict[str, Any] = {}
    for parameter in _parameters(task, inputs):
        value = inputs[parameter.name]
        named.update(value if parameter.kind is Parameter.VAR_KEYWORD else {parameter.name: value})
    return named


def _parameters(task: Any, inputs: Mapping[str, Any]) -> list[Parameter]:
    found = [*inspect.signature(inspect.unwrap(task.fn)).parameters.values()]
    if task.ismethod or task.isclassmethod:
        found = found[1:]
    return [parameter for parameter in found if parameter.name in inputs]
