"""What the processes of both functions have in common."""

import logging
from collections.abc import Callable
from typing import Protocol


class Context(Protocol):
    """What both handlers use of the context object.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    def get_remaining_time_in_millis(self) -> int: ...


def seconds_left_of(context: Context) -> Callable[[], float]:
    """How many seconds an invocation has left, whenever that is asked."""
    return lambda: context.get_remaining_time_in_millis() / 1000


def keep_sdk_quiet() -> None:
    """Keep secrets out of the log, whatever LogLevel says: below WARNING botocore writes the role's session token."""
    for talkative in ("boto3", "botocore", "urllib3"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
