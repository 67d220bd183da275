"""Reads that take more than one request: the pages of a query or a scan, and keys that DynamoDB left for later.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.dynamodb.concurrency import side_by_side
from inventory_updater.dynamodb.pacing import ROUND_LIMIT, backoff, in_a_minute
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef, ScanInputTypeDef, ScanOutputTypeDef

READ_LIMIT: Final = 100
"""How many keys AWS reads in one ``BatchGetItem``."""

_SEGMENTS: Final = 32
"""In how many parts a table is scanned: some for each request that is on its way, whose pages take their own time."""


def query(
    client: "DynamoDBClient",
    request: "QueryInputTypeDef",
    spend: Callable[[float], None] = lambda _read_units: None,
    *,
    is_patient: bool = False,
) -> Iterator[Attributes]:
    """What a query finds, page by page; ``spend`` is told the read units of each request.

    For a person's command, which ``is_patient``, a page may take a minute where the table throttles.
    """
    request = {**request, "ReturnConsumedCapacity": "TOTAL"}
    while True:
        ask = partial(client.query, **request)
        answer = in_a_minute(ask) if is_patient else ask()
        spend(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0))
        yield from map(from_attribute_values, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def scan(client: "DynamoDBClient", request: "ScanInputTypeDef") -> Iterator[Attributes]:
    """What a scan finds, in no order, for a person's command: a page of each segment, then the next one of each.

    No more than a few pages are in memory. Each may take a minute where the table throttles.
    """

    def page(segment: int) -> "tuple[int, ScanOutputTypeDef]":
        asked = {**request, **at.get(segment, {}), "Segment": segment, "TotalSegments": _SEGMENTS}
        return segment, in_a_minute(partial(client.scan, **asked))

    segments, at = list(range(_SEGMENTS)), dict[int, dict[str, Any]]()
    while segments:
        unfinished = []
        for segment, answer in side_by_side(page, segments):
            yield from map(from_attribute_values, answer["Items"])
            if "LastEvaluatedKey" in answer:
                unfinished.append(segment)
                at[segment] = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        segments = unfinished


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
