"""What a retry policy becomes in Prefect's options."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from prefect.utilities.annotations import NotSet

from prefect_etl.core.retry import MOST_DELAYS, RetryPolicy
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.retries.conditions import condition, theirs_of

_PREFECTS = ("retries", "retry_delay_seconds", "retry_jitter_factor")


def task_retry_options(
    fn: Callable[..., Any], options: Mapping[str, Any], policy: Any
) -> dict[str, Any]:
    """The options of a new task for Prefect's ``Task``.

    Args:
        fn: The user's function.
        options: As given to the decorator.
        policy: Its ``retry=``.

    Raises:
        ConfigError: The policy is none, or stands beside Prefect's own options.
    """
    _assert_policy(policy)
    _assert_alone(policy, options)
    theirs = options.get("retry_condition_fn")
    asks = condition(policy, theirs, is_async=_is_async(fn))
    return {**options, **_delays(policy), "retry_condition_fn": asks}


def changed_task_retry_options(
    task: Any, fn: Callable[..., Any], options: Mapping[str, Any], policy: Any
) -> dict[str, Any]:
    """The options that ``with_options`` changes.

    Args:
        task: The task that is copied.
        fn: The user's function.
        options: As given to ``with_options``.
        policy: Its ``retry=``; None leaves the task's own.

    Raises:
        ConfigError: As for a new task.
    """
    _assert_policy(policy)
    _assert_alone(policy or task.retry, options)
    given = options.get("retry_condition_fn")
    if policy is None and given is None:
        return dict(options)
    theirs = given or theirs_of(task.retry_condition_fn)
    asks = condition(policy or task.retry, theirs, is_async=_is_async(fn))
    return {**options, **_delays(policy), "retry_condition_fn": asks}


def flow_retry_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for Prefect's ``Flow``, from those that the user gave.

    Raises:
        ConfigError: The policy says what Prefect's flows cannot do.
    """
    plain = {name: value for name, value in options.items() if name != "retry"}
    policy = options.get("retry")
    if policy is None:
        return plain
    _assert_policy(policy)
    _assert_alone(policy, options)
    _assert_for_flows(policy)
    return plain | {
        "retries": policy.max_attempts - 1,
        "retry_delay_seconds": int(policy.initial),
    }


def _delays(policy: RetryPolicy | None) -> dict[str, Any]:
    """Prefect waits what is waited in any case, and shows it; the condition waits the rest."""
    if policy is None:
        return {}
    retries = policy.max_attempts - 1
    delays = [policy.least_delay(n) for n in range(1, min(retries, MOST_DELAYS) + 1)]
    # Not None, for which Prefect takes the setting.
    return {
        "retries": retries,
        "retry_delay_seconds": delays if any(delays) else 0,
        "retry_jitter_factor": None,
    }


def _assert_policy(policy: Any) -> None:
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise ConfigError(
            f"retry is {policy!r}, which is no RetryPolicy",
            hint="Give retry=RetryPolicy(max_attempts=3), or retries=2.",
        )


def _assert_alone(policy: RetryPolicy | None, options: Mapping[str, Any]) -> None:
    if policy is None:
        return
    beside = [name for name in _PREFECTS if options.get(name, NotSet) not in (None, NotSet)]
    if beside:
        raise ConfigError(
            f"retry= and {', '.join(beside)} both say how to retry",
            hint="Leave one of them out; a policy has max_attempts, initial, multiplier, jitter.",
        )


def _assert_for_flows(policy: RetryPolicy) -> None:
    plain = RetryPolicy()
    cannot = [
        name
        for name in ("retry_on", "give_up_on", "deadline", "per_error")
        if getattr(policy, name) != getattr(plain, name)
    ]
    if policy.multiplier not in (None, 1):
        cannot.append("multiplier")
    if policy.jitter not in (None, 0):
        cannot.append("jitter")
    if cannot:
        raise ConfigError(
            f"a flow's retry policy has {', '.join(cannot)}; Prefect's flows know a number of "
            "attempts and one delay",
            hint="Give the flow max_attempts and initial only, and the rest to its tasks.",
        )
    if policy.initial != int(policy.initial):
        raise ConfigError(
            f"a flow's retry policy has initial={policy.initial}; Prefect cuts a flow's delay to "
            "whole seconds",
            hint="Give whole seconds.",
        )


def _is_async(fn: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
