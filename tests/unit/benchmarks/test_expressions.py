"""The product's decisions as the peers of the benchmarks express them."""

from typing import TYPE_CHECKING

import pytest

from benchmarks.expressions import decide, update_request
from benchmarks.shelves import Shelf
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.planning import Update
from tests.engines import table_definition

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SHELF = Shelf(stored=2, due=1)


def test_sets_removes_and_guard_become_expressions() -> None:
    update = Update(ItemKey("mug", "DC1"), {"on_hand": 3, "version": 8}, ("next_change_at",), {"on_hand": 4, "x": None})

    assert update_request(update) == {
        "Key": {"sku": "mug", "location_id": "DC1"},
        "UpdateExpression": "SET #on_hand = :set_on_hand, #version = :set_version REMOVE #next_change_at",
        "ConditionExpression": "#on_hand = :old_on_hand AND attribute_not_exists(#x)",
        "ExpressionAttributeNames": {f"#{name}": name for name in ("on_hand", "version", "next_change_at", "x")},
        "ExpressionAttributeValues": {":set_on_hand": 3, ":set_version": 8, ":old_on_hand": 4},
    }


def test_an_item_with_nothing_due_needs_no_update() -> None:
    assert decide(SHELF.item(1)) is None


def test_the_expressions_make_of_an_item_what_the_plan_says_unless_another_has_written_it(
    moto_client: "DynamoDBClient",
) -> None:
    definition = table_definition("InventoryTable", "test")
    moto_client.create_table(**definition)
    item = SHELF.item(0)
    update = decide(item)
    assert update is not None
    request = update_request(update, to_attribute_value)

    moto_client.put_item(TableName=definition["TableName"], Item=to_attribute_values(item))
    moto_client.update_item(TableName=definition["TableName"], **request)
    (stored,) = moto_client.scan(TableName=definition["TableName"])["Items"]
    kept = {name: value for name, value in item.items() if name not in update.removes}
    assert from_attribute_values(stored) == kept | dict(update.sets)

    moto_client.put_item(TableName=definition["TableName"], Item=to_attribute_values(item | {"reserved": 8}))
    with pytest.raises(moto_client.exceptions.ConditionalCheckFailedException):
        moto_client.update_item(TableName=definition["TableName"], **request)
