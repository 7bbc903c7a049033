"""Which error is tried again, and after how long: values and decisions, without Prefect.

A policy never waits. It says how many seconds to wait, or that waiting is of no use; who runs the
work obeys (``prefect_etl.orchestration.retries`` for Prefect's tasks and flows).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from prefect_etl.core.retry_after import asked_wait
from prefect_etl.errors import ConfigError, DataError, Fatal

Errors = type[BaseException] | tuple[type[BaseException], ...]
Delays = Callable[[int], list[float]]

# Prefect takes no more delays than this for a task, and repeats the last one.
MOST_DELAYS = 50
_YEAR = 366 * 86_400.0
_NEVER = (Fatal, DataError)
_GROWTH = 2.0
_SPREAD = 0.1
_LONGEST = 300.0


def exponential_backoff(backoff_factor: float, max_delay: float | None = None) -> Delays:
    """Delays that double: for Prefect's ``retry_delay_seconds``.

    Works with ``retry_jitter_factor``, and on tasks of plain Prefect too.

    Args:
        backoff_factor: Seconds before the first retry.
        max_delay: Seconds at most before any, but for Prefect's jitter; a year if None.

    Raises:
        ConfigError: A number is negative or no number.

    Example:
        >>> exponential_backoff(backoff_factor=60, max_delay=300)(4)
        [60.0, 120.0, 240.0, 300.0]
    """
    _assert_seconds("backoff_factor", backoff_factor)
    if max_delay is not None:
        _assert_seconds("max_delay", max_delay)
    limit = _YEAR if max_delay is None else max_delay

    def delays(retries: int) -> list[float]:
        return [
            min(float(backoff_factor * 2**retry), float(limit))
            for retry in range(min(retries, MOST_DELAYS))
        ]

    return delays


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a failed call is tried again.

    The delay before retry ``n`` is ``initial * multiplier ** (n - 1)``, at most ``max_delay``, more
    or less by ``jitter``. An error that says how long to wait (an attribute ``retry_after``, or an
    HTTP response with the header ``Retry-After``) is not tried again sooner; at most an hour later.

    Args:
        max_attempts: Calls in all, the first one too.
        initial: Seconds before the first retry.
        multiplier: Growth of the delay, at least 1; 2 if None. Flows know one delay.
        max_delay: Seconds that no delay exceeds but one that the error asks for; the larger of
            ``initial`` and 300 if None.
        jitter: Share of the delay, 0 to 1, by which it may be longer or shorter; 0.1 if None. Flows
            have none.
        retry_on: The errors to try again.
        give_up_on: The errors among them not to try again.
        deadline: Seconds from the start of the first attempt after which none begins. A retry that
            would have to begin later is given up at once. It interrupts no attempt: that is what
            ``timeout_seconds`` is for.
        per_error: Error: its own delays (seconds, the last one repeated) or its own policy, for the
            nearest class of the error. What stands here need not be in ``retry_on``. The bounds of
            the whole policy, ``max_attempts`` and ``deadline``, hold as well.

    ``Fatal`` and ``DataError`` are tried again only where ``retry_on`` or ``per_error`` names them
    or a class below them. Of an exception group every part must be worth another attempt; the
    longest delay counts.

    Raises:
        ConfigError: Numbers out of range, or what should be errors are none.

    Example:
        >>> policy = RetryPolicy(max_attempts=4, initial=1, jitter=0, per_error={OSError: [5, 9]})
        >>> [policy.next_delay(attempt, ValueError(), elapsed=0) for attempt in (1, 2, 3, 4)]
        [1.0, 2.0, 4.0, None]
        >>> [policy.next_delay(attempt, ConnectionError(), elapsed=0) for attempt in (1, 2, 3)]
        [5.0, 9.0, 9.0]
    """

    max_attempts: int = 3
    initial: float = 1.0
    multiplier: float | None = None
    max_delay: float | None = None
    jitter: float | None = None
    retry_on: Errors = (Exception,)
    give_up_on: Errors = ()
    deadline: float | None = None
    per_error: Mapping[type[BaseException], RetryPolicy | float | Sequence[float]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int or self.max_attempts < 1:
            raise ConfigError(f"max_attempts is {self.max_attempts!r}, not a number of 1 or more")
        _assert_seconds("initial", self.initial)
        for name in ("max_delay", "deadline", "jitter"):
            if getattr(self, name) is not None:
                _assert_seconds(name, getattr(self, name))
        if self.max_delay is not None and self.max_delay < self.initial:
            raise ConfigError(f"max_delay ({self.max_delay}) is less than initial ({self.initial})")
        if self.multiplier is not None and not (
            _is_number(self.multiplier) and self.multiplier >= 1
        ):
            raise ConfigError(f"multiplier is {self.multiplier!r}, not a number of 1 or more")
        if self.jitter is not None and self.jitter > 1:
            raise ConfigError(f"jitter is {self.jitter!r}, more than 1, the whole delay")
        for name in ("retry_on", "give_up_on"):
            _assert_errors(name, _listed(getattr(self, name)))
        _assert_errors("per_error", self.per_error)
        for rule in self.per_error.values():
            if not isinstance(rule, RetryPolicy):
                _assert_delays(rule)

    def next_delay(
        self,
        attempt: int,
        error: BaseException,
        elapsed: float,
        *,
        draw: Callable[[], float] = random.random,
    ) -> float | None:
        """Seconds to wait before the next attempt, or None: give up.

        Args:
            attempt: How many attempts were made, at least 1.
            error: What the last one raised.
            elapsed: Seconds since the first one began.
            draw: A number from 0 to 1, for the jitter.

        Example:
            >>> RetryPolicy(deadline=60).next_delay(1, TimeoutError(), elapsed=59.5) is None
            True
        """
        if attempt >= self.max_attempts:
            return None
        if isinstance(error, BaseExceptionGroup):
            parts = [self.next_delay(attempt, e, elapsed, draw=draw) for e in error.exceptions]
            delays = [part for part in parts if part is not None]
            return max(delays) if len(delays) == len(parts) else None
        return self._bounded(attempt, error, elapsed, draw) if self._is_worth_it(error) else None

    def _bounded(
        self, attempt: int, error: BaseException, elapsed: float, draw: Callable[[], float]
    ) -> float | None:
        if attempt >= self.max_attempts:
            return None
        rule = _nearest(error, self.per_error)
        if isinstance(rule, RetryPolicy):
            delay = rule._bounded(attempt, error, elapsed, draw)  # noqa: SLF001 - the same class
        else:
            delay = self._drawn(rule, attempt, error, draw)
        if delay is None or (self.deadline is not None and elapsed + delay >= self.deadline):
            return None
        return delay

    def _drawn(
        self,
        delays: float | Sequence[float] | None,
        attempt: int,
        error: BaseException,
        draw: Callable[[], float],
    ) -> float:
        shift = 1 + self._spread * (2 * draw() - 1)
        if delays is None:
            drawn = min(self._plain(attempt) * shift, self._longest)
        else:
            drawn = _listed_delay(delays, attempt) * shift
        asked = asked_wait(error)
        return drawn if asked is None else max(drawn, asked * (1 + self._spread * draw()))

    def _is_worth_it(self, error: BaseException) -> bool:
        if isinstance(error, _listed(self.give_up_on)):
            return False
        named = (*_listed(self.retry_on), *self.per_error)
        if isinstance(error, _NEVER):
            return any(isinstance(error, kind) for kind in named if issubclass(kind, _NEVER))
        return isinstance(error, named)

    def least_delay(self, attempt: int) -> float:
        """Seconds that are waited after an attempt whatever the error, if it is tried again.

        Example:
            >>> policy = RetryPolicy(initial=10, jitter=0.5, per_error={OSError: 15})
            >>> policy.least_delay(1), policy.least_delay(2)
            (5.0, 7.5)
        """
        least = [self._plain(attempt) * (1 - self._spread)]
        for rule in self.per_error.values():
            if isinstance(rule, RetryPolicy):
                least.append(rule.least_delay(attempt))
            else:
                least.append(_listed_delay(rule, attempt) * (1 - self._spread))
        return min(least)

    def _plain(self, attempt: int) -> float:
        growth = _GROWTH if self.multiplier is None else self.multiplier
        try:
            return min(float(self.initial) * float(growth) ** (attempt - 1), self._longest)
        except OverflowError:
            return self._longest

    @property
    def _spread(self) -> float:
        return _SPREAD if self.jitter is None else self.jitter

    @property
    def _longest(self) -> float:
        return float(max(self.initial, _LONGEST) if self.max_delay is None else self.max_delay)


def is_hopeless(error: BaseException) -> bool:
    """Whether trying again changes nothing, whatever was asked for: ``Fatal`` and ``DataError``.

    An exception group is hopeless if one of its parts is.

    Example:
        >>> is_hopeless(DataError("a null")), is_hopeless(OSError())
        (True, False)
    """
    return any(isinstance(part, _NEVER) for part in _parts(error))


def _parts(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _parts(part)
    else:
        yield error


def _nearest(error: BaseException, rules: Mapping[type[BaseException], Any]) -> Any:
    return next((rules[kind] for kind in type(error).__mro__ if kind in rules), None)


def _listed(errors: Errors) -> tuple[type[BaseException], ...]:
    return errors if isinstance(errors, tuple) else (errors,)


def _listed_delay(delays: float | Sequence[float], attempt: int) -> float:
    if isinstance(delays, Sequence):
        return float(delays[min(attempt, len(delays)) - 1])
    return float(delays)


def _assert_delays(delays: Any) -> None:
    if isinstance(delays, Sequence) and not isinstance(delays, str | bytes):
        if not delays:
            raise ConfigError("per_error has an empty list of delays", hint="Give one: [1.0].")
        for delay in delays:
            _assert_seconds("a delay in per_error", delay)
    else:
        _assert_seconds("a delay in per_error", delays)


def _assert_errors(name: str, kinds: Any) -> None:
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, BaseException)):
            raise ConfigError(f"{name} has {kind!r}, which is no class of errors")


def _assert_seconds(name: str, value: Any) -> None:
    if not _is_number(value) or value < 0:
        raise ConfigError(f"{name} is {value!r}, not a number of 0 or more")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
