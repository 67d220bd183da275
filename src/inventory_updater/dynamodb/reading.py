"""Reads that take more than one request: the pages of a query, and keys that DynamoDB left for later.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from inventory_updater.dynamodb.pacing import ROUND_LIMIT, backoff
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef

READ_LIMIT: Final = 100
"""How many keys AWS reads in one ``BatchGetItem``."""


def query(
    client: "DynamoDBClient",
    request: "QueryInputTypeDef",
    spend: Callable[[float], None] = lambda _read_units: None,
) -> Iterator[Attributes]:
    """What a query finds, page by page; ``spend`` is told the read units of each request."""
    request = {**request, "ReturnConsumedCapacity": "TOTAL"}
    while True:
        answer = client.query(**request)
        spend(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
        yield from map(from_attribute_values, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def read_keys(
    client: "DynamoDBClient",
    table: str,
    keys: Iterable[Mapping[str, object]],
    *,
    is_consistent: bool,
    spend: Callable[[float], None] = lambda _read_units: None,
    rounds: int = ROUND_LIMIT,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Attributes]:
    """What is there of at most 100 keys, each of them named once; ``spend`` is told the read units of each request.

    Raises:
        TimeoutError: where the table left keys unanswered in every one of ``rounds``.
    """
    waiting = [to_attribute_values(key) for key in keys]
    for attempt in range(rounds):
        if not waiting:
            return
        if attempt:
            sleep(backoff(attempt))
        answer = client.batch_get_item(
            RequestItems={table: {"Keys": waiting, "ConsistentRead": is_consistent}}, ReturnConsumedCapacity="TOTAL"
        )
        spend(sum(used.get("CapacityUnits", 0.0) for used in answer.get("ConsumedCapacity", [])))
        yield from map(from_attribute_values, answer["Responses"].get(table, []))
        unprocessed = answer.get("UnprocessedKeys", {}).get(table)
        waiting = list(unprocessed["Keys"]) if unprocessed else []
    if waiting:
        raise TimeoutError(f"table {table} did not answer for {len(waiting)} keys")
