"""A batch of conditional writes, and what became of each: HTTP 200 does not mean success.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchStatementError.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from inventory_updater.dynamodb.client import BROKEN_CONNECTIONS
from inventory_updater.dynamodb.pacing import RETRIED_CODES, request_code
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.attributes import Attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import BatchStatementRequestTypeDef

BATCH_LIMIT: Final = 25
"""How many statements AWS takes in one ``BatchExecuteStatement``."""


class Outcome(Enum):
    """What became of a conditional write."""

    DONE = auto()
    CONFLICT = auto()
    """Its condition does not hold; or it landed, and DynamoDB's own repetition found it changed already."""
    LATER = auto()
    """Refused for a while, or nobody knows: read again before it is sent again."""
    REFUSED = auto()
    """Refused for good."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one write, with DynamoDB's own words where it refused, and the item that failed its condition."""

    outcome: Outcome
    code: str = ""
    message: str = ""
    item: Attributes | None = None


def outcome_of(error: Mapping[str, Any]) -> Outcome:
    """What the error of a statement means; an empty one is success."""
    code = error.get("Code", "")
    if not code:
        return Outcome.DONE
    if code in ("ConditionalCheckFailed", "DuplicateItem"):
        return Outcome.CONFLICT
    return Outcome.LATER if code in RETRIED_CODES else Outcome.REFUSED


def send(client: "DynamoDBClient", statements: "Sequence[BatchStatementRequestTypeDef]") -> tuple[list[Answer], float]:
    """Send at most 25 statements once.

    Returns:
        An answer for each, and the write units that were consumed.

    Raises:
        botocore.exceptions.ClientError: where AWS refuses the request for good (access denied, no such table).
    """
    try:
        answer = client.batch_execute_statement(Statements=list(statements), ReturnConsumedCapacity="TOTAL")
    except (ClientError, *BROKEN_CONNECTIONS) as error:
        code = request_code(error)
        if code in RETRIED_CODES:
            return [Answer(Outcome.LATER, code, str(error))] * len(statements), 0.0
        if code != "ValidationException":
            raise
        if len(statements) == 1:
            return [Answer(Outcome.REFUSED, code, str(error))], 0.0
        # One statement that AWS cannot take must not touch the others.
        alone = [send(client, [statement]) for statement in statements]
        return [answers[0] for answers, _ in alone], sum(units for _, units in alone)
    errors: list[Mapping[str, Any]] = [response.get("Error") or {} for response in answer["Responses"]]
    units = sum(used.get("CapacityUnits", 0.0) for used in answer.get("ConsumedCapacity", []))
    return [_answer(each) if each else _DONE for each in errors], units


_DONE: Final = Answer(Outcome.DONE)


def _answer(error: Mapping[str, Any]) -> Answer:
    item = from_attribute_values(error["Item"]) if error.get("Item") else None
    return Answer(outcome_of(error), error.get("Code", ""), error.get("Message", ""), item)
