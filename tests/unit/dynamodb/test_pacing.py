"""Patience with DynamoDB: what is asked again, after which pauses, for how long, and at which rate."""

from collections.abc import Callable

import pytest
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError

from inventory_updater.dynamodb.pacing import (
    Limits,
    OutOfTimeError,
    WritePace,
    backoff,
    batched,
    patiently,
    request_code,
)
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import failed_request, lost_answer

THROTTLED = failed_request("ThrottlingException")


def answers(*script: Exception | str) -> Callable[[], str]:
    waiting = iter(script)

    def call() -> str:
        answer = next(waiting)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def limits(clock: Clock, seconds: float = 1_000.0) -> Limits:
    return Limits(clock.countdown(seconds), sleep=clock.sleep)


def test_what_passes_by_itself_is_asked_again_after_a_pause() -> None:
    passing = [
        *(failed_request(code) for code in ("ThrottlingException", "ProvisionedThroughputExceededException")),
        *(failed_request(code) for code in ("RequestLimitExceeded", "TransactionConflictException")),
        *(failed_request("Whatever", status) for status in (500, 502, 503)),
        lost_answer(),
        ConnectionClosedError(endpoint_url="https://dynamodb.example"),
    ]
    for failure in passing:
        clock = Clock()
        assert patiently(answers(failure, failure, "there"), limits(clock)) == "there"
        assert len(clock.pauses) == 2


def test_what_is_refused_for_good_raises_at_once() -> None:
    for code in ("AccessDeniedException", "ResourceNotFoundException", "ValidationException"):
        clock = Clock()
        with pytest.raises(ClientError, match=code):
            patiently(answers(failed_request(code), "never asked for"), limits(clock))
        assert clock.pauses == []


def test_what_is_refused_until_the_time_is_up_or_without_end_raises() -> None:
    clock = Clock()
    for script, seconds in (([THROTTLED], 0.0), ([THROTTLED] * 201, 1e9)):
        with pytest.raises(ClientError, match="ThrottlingException"):
            patiently(answers(*script), limits(clock, seconds))

    assert len(clock.pauses) == 200


def test_pauses_are_random_below_a_limit_that_doubles_up_to_five_seconds() -> None:
    pauses = [backoff(attempt) for attempt in range(30)]

    assert [n for n, seconds in enumerate(pauses) if not 0.0 <= seconds <= min(5.0, 0.05 * 2**n)] == []
    assert len(set(pauses)) == 30
    assert max(pauses) > 1.0


def test_a_request_that_failed_has_a_code_whatever_broke_it() -> None:
    codes: dict[str, ClientError | BotoCoreError] = {
        "ThrottlingException": THROTTLED,
        "InternalServerError": failed_request("Whatever", 502),
        "ServiceUnavailable": lost_answer(),
    }

    assert [request_code(failure) for failure in codes.values()] == list(codes)


def test_bounds_of_time_alone_count_down_from_now() -> None:
    clock = Clock()
    bounds = Limits.for_seconds(60.0, clock.monotonic)
    clock.goes_on(45.0)

    assert bounds.seconds_left() == 15.0
    assert (bounds.may_retry_after(14.9), bounds.may_retry_after(15.0)) == (True, False)


def pace_of(items_a_second: float) -> tuple[WritePace, Clock]:
    clock = Clock()
    return WritePace(items_a_second, clock.monotonic, clock.sleep), clock


def test_a_pace_of_nothing_is_no_limit() -> None:
    pace, clock = pace_of(0)
    for _ in range(100):
        pace.wait(25, 0.0)

    assert clock.pauses == []


def test_items_are_spread_over_time_and_what_was_not_sent_in_a_break_is_not_made_up_for() -> None:
    pace, clock = pace_of(10)
    starts = []
    for break_seconds, items in ((0, 25), (0, 5), (0, 10), (60, 10), (0, 1)):
        clock.goes_on(break_seconds)
        pace.wait(items, 100.0)
        starts.append(clock.seconds)

    assert starts == [0.0, 2.5, 3.0, 63.0, 64.0]


def test_a_wait_longer_than_the_time_left_is_refused_and_takes_no_share() -> None:
    pace, clock = pace_of(1)
    pace.wait(10, 100.0)

    with pytest.raises(OutOfTimeError, match="no room for 5 items"):
        pace.wait(5, 9.9)
    pace.wait(1, 10.0)

    assert clock.pauses == [10.0]


def test_a_batch_is_permitted_in_its_time_when_its_turn_has_come_and_nobody_forbids_it_meanwhile() -> None:
    pace, clock = pace_of(1)
    asked_at: list[float] = []
    bounds = Limits(clock.countdown(29.0), lambda: asked_at.append(clock.seconds), pace)
    for _ in range(3):
        bounds.permit(10)

    assert asked_at == [0.0, 10.0, 20.0]
    with pytest.raises(OutOfTimeError, match="no room"):
        bounds.permit(1)
    with pytest.raises(OutOfTimeError, match="no time is left"):
        Limits(clock.countdown(0.0)).permit(1)


def test_elements_are_batched_with_the_rest_in_the_last_batch() -> None:
    assert list(batched("abcde", 2)) == [("a", "b"), ("c", "d"), ("e",)]
    assert list(batched("", 2)) == []
