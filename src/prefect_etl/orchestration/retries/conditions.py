"""Prefect's ``retry_condition_fn``: asked after each failed attempt, before the next one.

The waits that Prefect cannot do, because they depend on the error, happen here: the condition
answers when they are over. It is asked outside the attempt's timeout, in the task's own thread or
event loop, with the task run's count of attempts and its start. So nothing has to be wrapped around
the user's function, and nothing be remembered between attempts.

Conditions are plain functions: Prefect 3.8 takes anything else for "never retry".
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, cast

from prefect.exceptions import FailedRun, MissingContextError
from prefect.logging import get_run_logger

from prefect_etl.core.retry import MOST_DELAYS, RetryPolicy, is_hopeless
from prefect_etl.errors import ConfigError
from prefect_etl.orchestration.retries.waiting import elapsed_since_start, wait, wait_async

Condition = Callable[[Any, Any, Any], Any]
_logger = logging.getLogger(__name__)


def is_worth_retrying(task: Any, task_run: Any, state: Any) -> bool:  # noqa: ARG001 - Prefect's call
    """Whether retries are obeyed after this error: not after ``Fatal`` and ``DataError``.

    A good ``retry_condition_fn`` for tasks of plain Prefect too.
    """
    error = _error_of(state)
    if not is_hopeless(error):
        return True
    _say_given_up(error, f"{type(error).__name__} would only come again")
    return False


def condition(policy: RetryPolicy | None, theirs: Condition | None, *, is_async: bool) -> Condition:
    """The condition for a task.

    Args:
        policy: The task's policy.
        theirs: The user's own condition, any callable; both must agree.
        is_async: The task is.
    """
    if policy is None and theirs is None:
        return is_worth_retrying
    made = _async if is_async or _is_coroutine_function(theirs) else _sync
    compiled: Any = made(policy, theirs)
    compiled.theirs = theirs
    return cast("Condition", compiled)


def theirs_of(compiled: Any) -> Condition | None:
    """The user's own part of a condition."""
    if compiled is is_worth_retrying:
        return None
    found: Condition | None = getattr(compiled, "theirs", compiled)
    return found


def _sync(policy: RetryPolicy | None, theirs: Condition | None) -> Any:
    def may_retry(task: Any, task_run: Any, state: Any) -> bool:
        delay = _delay(policy, task, task_run, state)
        if delay is None or not (theirs is None or _plain_answer(theirs(task, task_run, state))):
            return False
        wait(delay, task_run, elsewhere=_prefects_part(policy, task_run))
        return True

    return may_retry


def _async(policy: RetryPolicy | None, theirs: Condition | None) -> Any:
    async def may_retry(task: Any, task_run: Any, state: Any) -> bool:
        delay = _delay(policy, task, task_run, state)
        if delay is None:
            return False
        if theirs is not None:
            answer = theirs(task, task_run, state)
            if not (await answer if inspect.isawaitable(answer) else answer):
                return False
        await wait_async(delay, task_run, elsewhere=_prefects_part(policy, task_run))
        return True

    return may_retry


def _delay(policy: RetryPolicy | None, task: Any, task_run: Any, state: Any) -> float | None:
    if policy is None:
        return 0.0 if is_worth_retrying(task, task_run, state) else None
    error, attempt = _error_of(state), _attempts(task_run)
    elapsed = elapsed_since_start(task_run)
    delay = policy.next_delay(attempt, error, elapsed)
    if delay is None:
        _say_given_up(error, f"so says its policy after attempt {attempt}, {elapsed:.1f} s")
    elif delay > _prefects_part(policy, task_run):
        _run_logger().info("Attempt %s failed; the next one begins in %.1f s", attempt, delay)
    return delay


def _prefects_part(policy: RetryPolicy | None, task_run: Any) -> float:
    """Seconds that Prefect itself waits; see ``prefect_etl.orchestration.retries.options``."""
    return policy.least_delay(min(_attempts(task_run), MOST_DELAYS)) if policy else 0.0


def _attempts(task_run: Any) -> int:
    return max(int(getattr(task_run, "run_count", 1) or 1), 1)


def _error_of(state: Any) -> BaseException:
    data = getattr(state, "data", None)
    for found in (data, getattr(data, "result", None)):
        if isinstance(found, BaseException):
            return found
    return FailedRun(getattr(state, "message", None) or "the task returned a failed state")


def _plain_answer(answer: Any) -> bool:
    if inspect.iscoroutine(answer):
        answer.close()
        raise ConfigError(
            "retry_condition_fn gave a coroutine, and is no coroutine function",
            hint="Define it with async def.",
        )
    return bool(answer)


def _is_coroutine_function(theirs: Condition | None) -> bool:
    return inspect.iscoroutinefunction(theirs) or inspect.iscoroutinefunction(
        getattr(theirs, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _say_given_up(error: BaseException, why: str) -> None:
    # Prefect itself says nothing where a condition answers no, and shows no traceback.
    _run_logger().error("Not tried again, %s: %r", why, error, exc_info=error)


def _run_logger() -> Any:
    try:
        return get_run_logger()
    except MissingContextError:
        return _logger
