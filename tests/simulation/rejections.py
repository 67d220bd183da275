"""What the simulated DynamoDB says no with, and how a boto3 client raises it."""

from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from tests.simulation.values import Item

CONDITION_FAILED: Final = "ConditionalCheckFailedException"
INVALID: Final = "ValidationException"
CANCELLED: Final = "TransactionCanceledException"

_SERVER_ERRORS: Final = {"InternalServerError": 500, "ServiceUnavailable": 503}


class Rejected(Exception):
    """A request, or one statement of a batch, that is not done.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
    """

    def __init__(self, code: str, message: str, item: Item | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.item = item
        self.units = 0.0
        """What it consumed all the same: a failed condition costs as much as the write."""


class CancelledError(Rejected):
    """A transaction of which nothing is done: a reason for each of its parts, ``None`` where that one is not to blame.

    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
    """

    def __init__(self, reasons: Sequence[Rejected | None]) -> None:
        codes = ["None" if each is None else each.code.removesuffix("Exception") for each in reasons]
        super().__init__(CANCELLED, f"Transaction cancelled, see the reasons [{', '.join(codes)}]")
        self.reasons = [{"Code": code} for code in codes]


class TransactionCanceledException(ClientError):
    """As a client has it among its ``exceptions``."""


class Exceptions:
    """https://boto3.amazonaws.com/v1/documentation/api/latest/guide/error-handling.html"""

    ClientError = ClientError
    TransactionCanceledException = TransactionCanceledException


def invalid(message: str) -> Rejected:
    """A request against the rules."""
    return Rejected(INVALID, message)


def error_of(operation: str, rejected: Rejected) -> ClientError:
    """What a client raises where a request is not done."""
    if not isinstance(rejected, CancelledError):
        return client_error(operation, rejected.code, rejected.message, rejected.item)
    response = client_error(operation, rejected.code, rejected.message).response
    reasons: Any = rejected.reasons
    return TransactionCanceledException({**response, "CancellationReasons": reasons}, operation)


def client_error(operation: str, code: str, message: str, item: Item | None = None) -> ClientError:
    """The exception that a boto3 client makes of a rejection.

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/error-handling.html
    """
    response: dict[str, Any] = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": _SERVER_ERRORS.get(code, 400), "RetryAttempts": 0},
    }
    if item is not None:
        response["Item"] = item
    return ClientError(response, operation)  # type: ignore[arg-type]  # the rest does not matter
