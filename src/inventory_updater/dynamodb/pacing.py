"""Patience with DynamoDB: which refusals pass by themselves, how long to wait, and how much time there is.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from inventory_updater.dynamodb.client import BROKEN_CONNECTIONS

RETRIED_CODES: Final = frozenset(
    {
        # of a whole request
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
        "ServiceUnavailable",
        "TransactionConflictException",
        # of one statement of a batch
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "TransactionConflict",
        # of either
        "InternalServerError",
        "RequestLimitExceeded",
    }
)
"""What passes by itself: it is sent again, later."""

_BACKOFF_BASE_SECONDS: Final = 0.05
_BACKOFF_LIMIT_SECONDS: Final = 5.0

PATIENCE_SECONDS: Final = 60.0
"""How long a request of a person's command may take."""

ROUND_LIMIT: Final = 200
"""How often anything is sent again at most, whatever time is left."""


class OutOfTimeError(Exception):
    """The time of this call ends before a write could be sent."""


class WritePace:
    """Spreads writes so that no more than ``items_a_second`` are sent; 0 is no limit. Shared by threads."""

    def __init__(
        self,
        items_a_second: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._items_a_second = items_a_second
        self._clock = clock
        self._sleep = sleep
        self._next = clock()
        self._lock = threading.Lock()

    def wait(self, items: int, seconds_left: float) -> None:
        """Return when ``items`` may be sent.

        Raises:
            OutOfTimeError: where that is not within ``seconds_left``.
        """
        if not self._items_a_second:
            return
        with self._lock:
            now = self._clock()
            start = max(self._next, now)
            if start - now > seconds_left:
                raise OutOfTimeError(f"the write rate leaves no room for {items} items")
            self._next = start + items / self._items_a_second
        if start > now:
            self._sleep(start - now)


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the work of one call.

    ``seconds_left`` tells the time that remains for requests; ``check`` is asked before every batch and raises where
    this worker may no longer write.
    """

    seconds_left: Callable[[], float]
    check: Callable[[], None] = lambda: None
    pace: WritePace = field(default_factory=lambda: WritePace(0))
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def for_seconds(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> "Limits":
        """Bounds of time alone, from now on."""
        end = clock() + seconds
        return cls(lambda: end - clock())

    def permit(self, items: int) -> None:
        """Return when a batch of ``items`` may be written.

        Raises:
            OutOfTimeError: where that is not in time.
        """
        if self.seconds_left() <= 0:
            raise OutOfTimeError("no time is left for this batch")
        self.pace.wait(items, self.seconds_left())
        # Last, because the pace may make it wait.
        self.check()

    def may_retry_after(self, delay: float) -> bool:
        return delay < self.seconds_left()


T = TypeVar("T")


def batched(elements: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """``elements`` in tuples of at most ``size`` (``itertools.batched`` came with Python 3.12)."""
    iterator = iter(elements)
    while batch := tuple(islice(iterator, size)):
        yield batch


def begun(elements: Iterable[T]) -> Iterator[T]:
    """The same ``elements``, of which the first was taken already."""
    iterator = iter(elements)
    return chain(tuple(islice(iterator, 1)), iterator)


def backoff(attempt: int) -> float:
    """Seconds to wait: full jitter under an exponential limit."""
    limit = min(_BACKOFF_LIMIT_SECONDS, _BACKOFF_BASE_SECONDS * 2 ** min(attempt, 16))
    return random.uniform(0, limit)  # spreads load, guards nothing


def request_code(error: ClientError | BotoCoreError) -> str:
    """The code of a request that failed as a whole; a broken connection counts as a server's error."""
    if not isinstance(error, ClientError):
        return "ServiceUnavailable"
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return "InternalServerError" if status >= 500 else code


def patiently(call: Callable[[], T], limits: Limits) -> T:
    """The answer of ``call``, asked again with full jitter while the table refuses it for a while."""
    attempt = 0
    while True:
        try:
            return call()
        except (ClientError, *BROKEN_CONNECTIONS) as error:
            delay = backoff(attempt)
            may_pass = request_code(error) in RETRIED_CODES
            if not may_pass or attempt == ROUND_LIMIT or not limits.may_retry_after(delay):
                raise
            limits.sleep(delay)
            attempt += 1


def in_a_minute(call: Callable[[], T]) -> T:
    """The answer of ``call`` for a person's command, which waits so long while the table refuses it."""
    return patiently(call, Limits.for_seconds(PATIENCE_SECONDS))
