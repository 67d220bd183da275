"""The protocol of changes as records on each engine: what the item decides, its records say."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.stock.items import ItemKey, item_id, key_of
from inventory_updater.stock.settling import Moment
from inventory_updater.tables.change_table import SHARDS, ChangeTable, shard_of
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.protocol import Protocol, Report
from tests.builders import moment
from tests.engines import Tables
from tests.shop import put_items

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient


class Place:
    """Both tables on one engine."""

    def __init__(self, client: "DynamoDBClient", tables: Tables) -> None:
        self.client = client
        self.changes = ChangeTable(client, tables.changes, retention_days=30)
        self.inventory = InventoryTable(client, tables.inventory)

    def put(self, key: ItemKey, **figures: int) -> None:
        put_items(self.client, self.inventory.name, [{**key._asdict(), **figures}])

    def schedule(self, key: ItemKey, change_id: str, kind: str, value: int, at: str, **more: object) -> None:
        given = {"change_id": change_id, "kind": kind, "value": Decimal(value), "effective_at": moment(at)}
        self.changes.put(key, given | more)

    def settle(self, at: str, *, allow_negative: bool = False) -> Report:
        """A job: what is due in any shard, item by item."""
        due: dict[ItemKey, Sequence[str]] = {}
        for shard in SHARDS:
            due |= self.changes.due_page(shard, moment(at), limit=100).changes
        protocol = Protocol(self.client, self.inventory, self.changes, {"job_id": "job-1"})
        return protocol.settle(due, Moment(moment(at), moment(at), allow_negative), Limits.for_seconds(60))

    def statuses(self, key: ItemKey) -> dict[str, object]:
        return {str(each["change_id"]): each["status"] for each in self.changes.stored_of(key)}


@pytest.fixture
def place(dynamodb_client: "DynamoDBClient", tables: Tables) -> Place:
    return Place(dynamodb_client, tables)


def test_each_item_is_settled_by_itself_and_its_records_say_how(place: Place) -> None:
    mug, odd, gone = ItemKey("mug", "DC1"), ItemKey("50% off #1", "DC#2"), ItemKey("gone", "DC1")
    place.put(mug, on_hand=10)
    place.put(odd, on_hand=1)
    place.schedule(mug, "in", "adjustment", 5, "08:00")
    place.schedule(mug, "later", "adjustment", 5, "20:00")
    place.schedule(odd, "sale", "adjustment", -3, "09:00")
    place.schedule(gone, "sale", "adjustment", -3, "09:00")

    report = place.settle("12:00")

    assert {(key.sku, mark.record.change_id, mark.decision.outcome.value) for key, mark in report.marked} == {
        ("mug", "in", "APPLIED"),
        (odd.sku, "sale", "REJECTED"),
    }
    assert report.failures == {gone: ("UNKNOWN_ITEM", "there is no item gone at DC1")}
    assert (place.inventory.read(mug) or {})["on_hand"] == 15
    assert place.statuses(mug) == {"in": "APPLIED", "later": "PENDING"}
    (rejected,) = place.changes.stored_of(odd)
    assert (rejected["status"], rejected["code"], rejected["due_shard"]) == (
        *("REJECTED", "INSUFFICIENT_STOCK", "REJECTED"),
    )
    again = place.settle("12:00")
    assert (again.marked, again.written) == ([], set())


def test_a_window_opens_and_ends_and_a_late_count_keeps_later_sales(place: Place) -> None:
    mug = ItemKey("mug", "DC1")
    place.put(mug, on_hand=10, unit_price=20)
    place.schedule(mug, "offer", "price", 12, "08:00", until=moment("18:00"))
    place.schedule(mug, "sale", "adjustment", -3, "08:30")
    place.settle("09:00")
    during = place.inventory.read(mug) or {}
    place.schedule(mug, "count", "count", 8, "08:00")
    place.schedule(mug, "base", "price", 25, "12:00")
    place.settle("13:00")
    place.settle("19:00")
    after = place.inventory.read(mug) or {}

    assert (during["unit_price"], during["on_hand"]) == (12, 7)
    assert (after["unit_price"], after["on_hand"], "windows" in after) == (25, 5, False)
    assert place.statuses(mug) == dict.fromkeys(("offer", "sale", "count", "base"), "APPLIED")


def test_no_two_items_meet_in_the_changes_table() -> None:
    keys = [
        ItemKey("a#b", "c"),
        ItemKey("a", "b#c"),
        ItemKey("a%23b", "c"),
        ItemKey("é \U0001f6d2", "%"),
        ItemKey("a", "b"),
    ]

    assert len({item_id(key) for key in keys}) == len(keys)
    assert [key_of(item_id(key)) for key in keys] == keys
    assert all(shard_of(item_id(key)) in SHARDS for key in keys)
