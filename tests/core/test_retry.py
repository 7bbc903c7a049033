"""What a retry policy decides."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prefect_etl.core.retry import MOST_DELAYS, RetryPolicy, exponential_backoff, is_hopeless
from prefect_etl.core.retry_after import MOST_SECONDS, asked_wait
from prefect_etl.errors import ConfigError, DataError, Fatal, SchemaError, StorageError

SECONDS = st.floats(0, 1e4)
SHARES = st.floats(0, 1)
ERRORS = st.sampled_from([ValueError(), OSError(), ConnectionError(), TimeoutError()])


@st.composite
def policies(draw: st.DrawFn) -> RetryPolicy:
    initial = draw(SECONDS)
    delays = st.one_of(SECONDS, st.lists(SECONDS, min_size=1, max_size=4))
    return RetryPolicy(
        max_attempts=draw(st.integers(1, 80)),
        initial=initial,
        multiplier=draw(st.none() | st.floats(1, 1e3)),
        max_delay=draw(st.none() | st.floats(initial, 1e5)),
        jitter=draw(st.none() | SHARES),
        deadline=draw(st.none() | st.floats(0, 1e5)),
        per_error=draw(st.dictionaries(st.sampled_from([OSError, TimeoutError]), delays)),
    )


def answering(retry_after: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://example.invalid")
    response = httpx.Response(429, headers={"Retry-After": retry_after}, request=request)
    return httpx.HTTPStatusError("429", request=request, response=response)


@given(policies(), st.integers(1, 100), ERRORS, st.floats(0, 1e5), SHARES)
def test_no_attempt_after_the_last_and_none_that_begins_after_the_deadline(
    policy, attempt, error, elapsed, drawn
):
    delay = policy.next_delay(attempt, error, elapsed, draw=lambda: drawn)
    if attempt >= policy.max_attempts:
        assert delay is None
    if delay is not None and policy.deadline is not None:
        assert elapsed + delay < policy.deadline


@given(policies(), st.integers(1, 100), SHARES)
def test_a_delay_stays_within_its_jitter_and_the_longest_delay(policy, attempt, drawn):
    delay = policy.next_delay(attempt, ValueError(), 0, draw=lambda: drawn)
    if delay is None:
        return
    plain = policy.next_delay(attempt, ValueError(), 0, draw=lambda: 0.5)
    jitter = 0.1 if policy.jitter is None else policy.jitter
    longest = policy.max_delay if policy.max_delay is not None else max(policy.initial, 300)
    assert delay <= longest
    if plain is not None:
        assert plain * (1 - jitter) <= delay + 1e-6
        assert delay <= plain * (1 + jitter) + 1e-6


@given(policies(), st.integers(1, MOST_DELAYS), ERRORS, SHARES)
def test_no_delay_is_less_than_what_is_waited_in_any_case(policy, attempt, error, drawn):
    delay = policy.next_delay(attempt, error, 0, draw=lambda: drawn)
    assert delay is None or delay >= policy.least_delay(attempt) * (1 - 1e-9)


@given(policies(), st.floats(0, 1e5), SHARES)
def test_an_error_that_asks_for_time_is_not_tried_again_sooner(policy, asked, drawn):
    error = ValueError()
    error.retry_after = asked
    delay = policy.next_delay(1, error, 0, draw=lambda: drawn)
    assert delay is None or delay >= min(asked, MOST_SECONDS)


@given(policies())
def test_a_policy_travels_to_other_processes(policy):
    assert pickle.loads(pickle.dumps(policy)) == policy


def test_delays_grow_up_to_the_longest():
    policy = RetryPolicy(max_attempts=9, initial=10, multiplier=3, max_delay=100, jitter=0)
    assert [policy.next_delay(n, ValueError(), 0) for n in range(1, 6)] == [10, 30, 90, 100, 100]


def test_only_named_errors_are_tried_again_and_those_given_up_are_not():
    policy = RetryPolicy(retry_on=OSError, give_up_on=FileNotFoundError)
    assert policy.next_delay(1, ConnectionError(), 0) is not None
    assert policy.next_delay(1, FileNotFoundError(), 0) is None
    assert policy.next_delay(1, ValueError(), 0) is None


def test_what_is_wrong_with_the_data_is_tried_again_only_where_it_is_named():
    assert RetryPolicy().next_delay(1, DataError("null"), 0) is None
    assert RetryPolicy().next_delay(1, StorageError("full"), 0) is None
    assert RetryPolicy(retry_on=DataError).next_delay(1, SchemaError("x"), 0) is not None
    assert RetryPolicy(retry_on=(OSError, Fatal)).next_delay(1, SchemaError("x"), 0) is None
    own = RetryPolicy(per_error={SchemaError: RetryPolicy(initial=7, jitter=0)})
    assert own.next_delay(1, SchemaError("x"), 0) == 7


def test_the_nearest_class_of_an_error_decides_its_delays():
    policy = RetryPolicy(jitter=0, initial=1, per_error={OSError: 5, ConnectionError: [8, 9]})
    assert policy.next_delay(1, ConnectionResetError(), 0) == 8
    assert policy.next_delay(2, ConnectionResetError(), 0) == 9
    assert policy.next_delay(1, FileNotFoundError(), 0) == 5
    assert policy.next_delay(1, ValueError(), 0) == 1


def test_an_error_may_have_a_policy_of_its_own_within_the_bounds_of_the_whole():
    own = RetryPolicy(max_attempts=2, initial=30, jitter=0)
    policy = RetryPolicy(max_attempts=5, per_error={OSError: own}, deadline=100, jitter=0)
    assert policy.next_delay(1, OSError(), 0) == 30
    assert policy.next_delay(2, OSError(), 0) is None
    assert policy.next_delay(1, OSError(), 80) is None
    assert policy.next_delay(4, ValueError(), 0) == 8


def test_a_group_is_worth_another_attempt_if_all_its_parts_are():
    policy = RetryPolicy(initial=1, jitter=0, per_error={OSError: 5})
    both = ExceptionGroup("two", [ValueError(), ExceptionGroup("one", [OSError()])])
    hopeless = ExceptionGroup("two", [ValueError(), DataError("null")])
    assert policy.next_delay(1, both, 0) == 5
    assert policy.next_delay(1, hopeless, 0) is None
    assert is_hopeless(hopeless)
    assert not is_hopeless(both)


def test_an_error_raised_from_one_that_is_hopeless_is_not():
    error = ConnectionError()
    error.__cause__ = DataError("null")
    assert not is_hopeless(error)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (30, 30),
        (1.5, 1.5),
        (timedelta(minutes=1), 60),
        (datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC), 20),
        ("120", 120),
        (" 7 ", 7),
        (format_datetime(datetime(2026, 1, 1, 0, 1, tzinfo=UTC), usegmt=True), 60),
        (datetime(2025, 1, 1, tzinfo=UTC), 0),
        (-5, 0),
        (10**9, MOST_SECONDS),
        ("9" * 400, MOST_SECONDS),
        ("soon", None),
        ("", None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        (datetime(2026, 1, 1), None),  # noqa: DTZ001
        (["1"], None),
    ],
)
def test_an_error_says_how_long_to_wait_in_many_ways(said, seconds):
    error = ConnectionError()
    error.retry_after = said
    assert asked_wait(error, datetime(2026, 1, 1, tzinfo=UTC)) == seconds


def test_the_header_of_an_http_response_counts_also_as_a_cause():
    error = answering("45")
    wrapped = RuntimeError("the API refused")
    wrapped.__cause__ = error
    assert asked_wait(error) == asked_wait(wrapped) == 45
    assert asked_wait(httpx.ConnectError("no")) is None


def test_a_circle_of_causes_ends():
    one, other = ValueError(), ValueError()
    one.__cause__, other.__cause__ = other, one
    assert asked_wait(one) is None


def test_a_wait_that_is_asked_for_is_honoured_above_the_longest_delay_but_not_the_deadline():
    assert RetryPolicy(max_delay=5, jitter=0).next_delay(1, answering("60"), 0) == 60
    assert RetryPolicy(deadline=30).next_delay(1, answering("60"), 0) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_attempts": 0},
        {"max_attempts": 2.5},
        {"max_attempts": True},
        {"initial": -1},
        {"initial": "1"},
        {"initial": float("nan")},
        {"multiplier": 0.5},
        {"jitter": 1.1},
        {"initial": 10, "max_delay": 5},
        {"deadline": -1},
        {"retry_on": "OSError"},
        {"retry_on": (OSError, 3)},
        {"give_up_on": int},
        {"per_error": {OSError: []}},
        {"per_error": {OSError: [1, -1]}},
        {"per_error": {OSError: "1"}},
        {"per_error": {"OSError": 1}},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ConfigError):
        RetryPolicy(**wrong)


@given(st.floats(0, 1e6), st.integers(0, 100), st.none() | st.floats(0, 1e6))
def test_backoff_doubles_up_to_the_longest_delay_and_prefect_takes_it(factor, retries, longest):
    delays = exponential_backoff(factor, max_delay=longest)(retries)
    assert len(delays) == min(retries, MOST_DELAYS)
    assert delays[:1] == [min(factor, longest if longest is not None else factor)][: len(delays)]
    for one, following in pairwise(delays):
        assert one <= following <= 2 * one + 1e-9
    assert all(datetime.now(UTC) + timedelta(seconds=delay) for delay in delays)


def test_backoff_takes_the_guides_call():
    assert exponential_backoff(backoff_factor=60)(3) == [60, 120, 240]
    with pytest.raises(ConfigError):
        exponential_backoff(backoff_factor=-1)
