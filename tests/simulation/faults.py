"""What may happen to a request, decided before each one by a test or a scheduler.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ReadTimeoutError

Request = Mapping[str, Any]


def _timed_out() -> Exception:
    return ReadTimeoutError(endpoint_url="https://dynamodb.example")


class ProcessDied(BaseException):
    """The process that sent a request is gone: nothing of it may catch this."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing is done, and the answer says so; with ``is_done`` it was, which a server's error may mean.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html#Programming.Errors.MessagesAndCodes
    """

    code: str = "ThrottlingException"
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class RefusedInPart:
    """Some statements, puts or keys are not done, by their place in the request, and the answer says so.

    With ``is_done`` these statements or puts were done all the same.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
    """

    places: frozenset[int]
    code: str = "ThrottlingError"
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class AnswerLost:
    """The connection breaks: all is done, or nothing is; of a batch, what is at ``places``."""

    is_done: bool = True
    places: frozenset[int] | None = None
    error: Callable[[], Exception] = field(default=_timed_out, repr=False)


@dataclass(frozen=True, slots=True)
class LandsLater:
    """The connection breaks, and the request is done when the test delivers it: after others, or never."""

    error: Callable[[], Exception] = field(default=_timed_out, repr=False)


@dataclass(frozen=True, slots=True)
class DoneTwice:
    """The request is done, done again, and the second answer is the one that comes.

    Where a condition does not hold any more after the first time, the answer says that it failed although the write
    landed. ``places`` are the statements that this happens to, all by default. ``retry_attempts`` is what the answer
    says of it: 0 where DynamoDB repeated it, 1 where botocore did.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ConditionExpressions.html
    """

    places: frozenset[int] | None = None
    retry_attempts: int = 0


@dataclass(frozen=True, slots=True)
class Dies:
    """The process that sent it dies, before it is done or after."""

    is_done: bool


@dataclass(frozen=True, slots=True)
class Stale:
    """A read that is not consistent sees the table without so many of its latest writes.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
    """

    writes: int = 1


Fault = Refused | RefusedInPart | AnswerLost | LandsLater | DoneTwice | Dies | Stale

Decide = Callable[[str, Request], Fault | None]
"""What happens to a request, by the operation's name (``get_item``) and its parameters."""


def nothing(_operation: str, _request: Request) -> None:
    """Every request is done as it should be."""
