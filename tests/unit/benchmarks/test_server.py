"""The instant server of the benchmarks, asked by boto3's own client."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.expressions import decide, update_request
from benchmarks.measuring import instant_place
from benchmarks.one_run import counts
from benchmarks.shelves import Shelf
from inventory_updater.dynamodb.statements import statement
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value
from inventory_updater.stock.attributes import Attributes
from tests.engines import make_client

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SHELF = Shelf(stored=30, due=10)
TABLE = SHELF.table_name


@pytest.fixture(scope="module")
def client() -> Iterator["DynamoDBClient"]:
    with instant_place() as place:
        yield make_client("dynamodb", place.environment["AWS_ENDPOINT_URL"])


def scanned(client: "DynamoDBClient", table: str, **request: Any) -> list[Attributes]:
    pages = client.get_paginator("scan").paginate(TableName=table, **request)
    return [from_attribute_values(item) for page in pages for item in page["Items"]]


def test_a_scan_finds_every_item_once_by_segments_too_and_the_index_what_is_due(client: "DynamoDBClient") -> None:
    items = [SHELF.item(number) for number in range(30)]

    assert scanned(client, TABLE, PaginationConfig={"PageSize": 7}) == items
    parts = [scanned(client, TABLE, Segment=segment, TotalSegments=4, Limit=3) for segment in range(4)]
    assert list(chain(*parts)) == items
    assert scanned(client, TABLE, IndexName="due", PaginationConfig={"PageSize": 4}) == items[::3]


def test_a_page_ends_at_a_megabyte(client: "DynamoDBClient") -> None:
    shelf = Shelf(stored=100, due=100, padding=20_000)

    page = client.scan(TableName=shelf.table_name)

    assert len(page["Items"]) == 1_048_576 // shelf.item_bytes
    assert "LastEvaluatedKey" in page


def test_reading_is_charged_by_what_was_read(client: "DynamoDBClient") -> None:
    shelf = Shelf(stored=100, due=100)
    units = -(-100 * shelf.item_bytes // 4096)

    for is_consistent, expected in ((True, units), (False, units / 2)):
        page = client.scan(TableName=shelf.table_name, ReturnConsumedCapacity="TOTAL", ConsistentRead=is_consistent)
        assert page["ConsumedCapacity"]["CapacityUnits"] == expected


def test_every_write_succeeds_is_counted_and_changes_nothing(client: "DynamoDBClient") -> None:
    updates = [update for number in range(0, 30, 3) if (update := decide(SHELF.item(number)))]
    requests: list[Any] = [{"TableName": TABLE, **update_request(update, to_attribute_value)} for update in updates]
    endpoint = client.meta.endpoint_url
    before, counted = scanned(client, TABLE), counts(endpoint)

    single = client.update_item(**requests[0], ReturnConsumedCapacity="TOTAL")
    client.transact_write_items(TransactItems=[{"Update": request} for request in requests])
    batch = client.batch_execute_statement(
        Statements=[statement(TABLE, update) for update in updates], ReturnConsumedCapacity="TOTAL"
    )

    assert single["ConsumedCapacity"] == {"TableName": TABLE, "CapacityUnits": 1.0}
    assert batch["Responses"] == [{"TableName": TABLE}] * 10
    assert batch["ConsumedCapacity"] == [{"TableName": TABLE, "CapacityUnits": 10.0}]
    # Ten updates in a transaction cost twice as much.
    assert counts(endpoint) == {
        "requests": counted["requests"] + 3,
        "write_units": counted["write_units"] + 1 + 20 + 10,
    }
    assert scanned(client, TABLE) == before


def test_a_shelf_that_nobody_knows_is_refused(client: "DynamoDBClient") -> None:
    with pytest.raises(client.exceptions.ClientError, match="is the name of no shelf"):
        client.scan(TableName="inventory-dev")


def test_a_jobs_table_remembers_its_records(client: "DynamoDBClient") -> None:
    key: Any = {"job_id": {"S": "LEASE"}, "record": {"S": "LEASE"}}

    def stored() -> Any:
        return client.get_item(TableName="jobs-test", Key=key).get("Item")

    def update(expression: str, **values: Any) -> None:
        request: Any = {"ExpressionAttributeValues": values} if values else {}
        client.update_item(TableName="jobs-test", Key=key, UpdateExpression=expression, **request)

    assert stored() is None
    update("SET held_until = :until ADD displaced :ids", **{":until": {"S": "x"}, ":ids": {"SS": ["job-1"]}})
    assert stored() == key | {"held_until": {"S": "x"}, "displaced": {"SS": ["job-1"]}}
    update("DELETE displaced :settled", **{":settled": {"SS": ["job-1"]}})
    update("REMOVE held_until")
    assert stored() == key
