"""The instant server of the benchmarks, asked by boto3's own client."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.instant_server import KEPT, UNITS_A_SECOND, Partitions
from benchmarks.measuring import instant_place
from benchmarks.one_run import counts
from benchmarks.shelves import AS_OF, SHARDS, Shelf, due_record, stock_item
from inventory_updater.dynamodb.statements import guarded_update
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from tests.engines import make_client

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SHELF = Shelf(stored=300, due=200)
TABLE = SHELF.table_name


@pytest.fixture(scope="module")
def client() -> Iterator["DynamoDBClient"]:
    with instant_place() as place:
        yield make_client("dynamodb", place.environment["AWS_ENDPOINT_URL"])


def scanned(client: "DynamoDBClient", table: str, **request: Any) -> list[Attributes]:
    pages = client.get_paginator("scan").paginate(TableName=table, **request)
    return [from_attribute_values(item) for page in pages for item in page["Items"]]


def due(client: "DynamoDBClient", shard: int) -> list[str]:
    request: Any = {"TableName": SHELF.changes_table_name, "IndexName": "due", "PaginationConfig": {"PageSize": 2}}
    request |= {"KeyConditionExpression": "due_shard = :shard AND due_at <= :as_of"}
    values = to_attribute_values({":shard": f"{shard:02}", ":as_of": AS_OF})
    pages = client.get_paginator("query").paginate(**request, ExpressionAttributeValues=values)
    return [str(from_attribute_values(entry)["change_id"]) for page in pages for entry in page["Items"]]


def read(client: "DynamoDBClient", table: str, keys: Sequence[Mapping[str, object]]) -> list[Attributes]:
    wanted: Any = {table: {"Keys": [to_attribute_values(key) for key in keys], "ConsistentRead": True}}
    return [from_attribute_values(item) for item in client.batch_get_item(RequestItems=wanted)["Responses"][table]]


def test_a_scan_finds_every_item_once_by_segments_too(client: "DynamoDBClient") -> None:
    items = [stock_item(f"{number:08}") for number in range(SHELF.stored)]

    assert scanned(client, TABLE, PaginationConfig={"PageSize": 70}) == items
    parts = [scanned(client, TABLE, Segment=segment, TotalSegments=4, Limit=30) for segment in range(4)]
    assert list(chain(*parts)) == items


def test_the_index_has_every_change_that_is_due_in_one_shard(client: "DynamoDBClient") -> None:
    found = [change_id for shard in range(SHARDS) for change_id in due(client, shard)]

    assert sorted(found) == [f"change-{number:08}" for number in range(SHELF.due)]


def test_what_is_on_the_shelf_is_read_by_its_key_and_nothing_else(client: "DynamoDBClient") -> None:
    items: list[dict[str, object]] = [{"sku": f"SKU-{number:08}", "location_id": "DC-01"} for number in (7, 299, 300)]
    records: list[dict[str, object]] = [
        {"item": f"SKU-{number:08}#DC-01", "change_id": f"change-{number:08}"} for number in (7, 199, 200)
    ]

    assert read(client, TABLE, items) == [stock_item(f"{number:08}") for number in (7, 299)]
    assert read(client, SHELF.changes_table_name, records) == [due_record(f"{number:08}") for number in (7, 199)]
    assert read(client, SHELF.changes_table_name, [{"item": "SKU-00000007#DC-01", "change_id": "order-7"}]) == []


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
    item: Any = {"sku": "SKU-00000007", "location_id": "DC-01"}
    record: Any = {"item": "SKU-00000007#DC-01", "change_id": "change-00000007"}
    endpoint = client.meta.endpoint_url
    before, counted = scanned(client, TABLE), counts(endpoint)
    update: Any = {"TableName": TABLE, "Key": to_attribute_values(item), "UpdateExpression": "REMOVE on_hand"}

    client.update_item(**update)
    client.transact_write_items(TransactItems=[{"Update": update}])
    batch = client.batch_execute_statement(
        Statements=[
            guarded_update(TABLE, item, {"on_hand": 1}, (), {}),
            guarded_update(SHELF.changes_table_name, record, {"status": "APPLIED"}, (), {}),
        ],
        ReturnConsumedCapacity="TOTAL",
    )

    assert batch["Responses"] == [{"TableName": TABLE}, {"TableName": SHELF.changes_table_name}]
    # A record is in the index too, and a transaction costs twice as much.
    assert counts(endpoint) == {
        "requests": counted["requests"] + 3,
        "write_units": counted["write_units"] + 1 + 2 + (1 + 2),
    }
    assert scanned(client, TABLE) == before


def test_a_pair_of_tables_starts_empty_and_keeps_what_is_written(client: "DynamoDBClient") -> None:
    inventory, changes, _jobs = KEPT
    item, record = {"sku": "mug", "location_id": "DC1"}, {"item": "mug#DC1", "change_id": "c1"}
    assert (read(client, inventory, [item]), read(client, changes, [record])) == ([], [])

    client.put_item(TableName=inventory, Item=to_attribute_values(item))
    client.put_item(TableName=changes, Item=to_attribute_values(record))
    client.batch_execute_statement(Statements=[guarded_update(inventory, item, {"description": "blue"}, (), {})])

    assert read(client, inventory, [item]) == [item | {"description": "blue"}]
    assert read(client, changes, [record]) == [record]


def test_a_shelf_that_nobody_knows_is_refused(client: "DynamoDBClient") -> None:
    with pytest.raises(client.exceptions.ClientError, match="is the name of no shelf"):
        client.scan(TableName="inventory-dev")


def test_a_jobs_table_remembers_its_records(client: "DynamoDBClient") -> None:
    key: Any = {"job_id": {"S": "LEASE"}, "record": {"S": "LEASE"}}

    def stored() -> Any:
        return client.get_item(TableName="jobs-shelf", Key=key).get("Item")

    def update(expression: str, **values: Any) -> None:
        request: Any = {"ExpressionAttributeValues": values} if values else {}
        client.update_item(TableName="jobs-shelf", Key=key, UpdateExpression=expression, **request)

    assert stored() is None
    update("SET held_until = :until ADD displaced :ids", **{":until": {"S": "x"}, ":ids": {"SS": ["job-1"]}})
    assert stored() == key | {"held_until": {"S": "x"}, "displaced": {"SS": ["job-1"]}}
    update("DELETE displaced :settled", **{":settled": {"SS": ["job-1"]}})
    update("REMOVE held_until")
    assert stored() == key


def test_a_partition_takes_a_thousand_units_a_second_and_its_neighbour_as_many() -> None:
    now = [0.0]
    partitions = Partitions(8, clock=lambda: now[0])

    def taken(numbers: range, seconds: int) -> int:
        """How many are taken of ten thousand a second."""
        found = 0
        for each in range(seconds * 10 * UNITS_A_SECOND):
            found += partitions.take([("items", numbers[each % len(numbers)])])
            now[0] += 0.1 / UNITS_A_SECOND
        return found

    one = taken(range(1), 4)
    all_of_them = taken(range(1000), 4)

    # And what a second's rest has left at first.
    assert one == pytest.approx(5 * UNITS_A_SECOND, rel=0.01)
    assert all_of_them > 4 * 8 * UNITS_A_SECOND * 0.8
