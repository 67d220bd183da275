"""The inventory table against a client that answers from a script: pages, and items by their keys."""

from typing import Any

from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.inventory_table import InventoryTable, Page
from tests.builders import item_attributes
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import Answer, ScriptedClient, failed_request, lost_answer

MUG, CUP = (ItemKey(sku, "DC1") for sku in ("mug", "cup"))
LAST = {"sku": "cup", "location_id": "DC1"}


def table_on(client: ScriptedClient) -> InventoryTable:
    return InventoryTable(client.client, "inventory")


def scan_answer(*items: Attributes, last: Attributes | None = None) -> dict[str, Any]:
    answer = {"Items": list(map(to_attribute_values, items)), "ConsumedCapacity": {"CapacityUnits": 2.5}}
    return answer | ({"LastEvaluatedKey": to_attribute_values(last)} if last else {})


def read_page(*answers: Answer, cursor: Attributes | None = None) -> tuple[Page, ScriptedClient]:
    client, clock = ScriptedClient(scan=answers), Clock()
    limits = Limits(clock.countdown(1_000), sleep=clock.sleep)
    page = table_on(client).scan_page(segment=2, segments=64, limit=250, cursor=cursor, limits=limits)
    return page, client


def test_a_page_of_a_segment_is_read_consistently_and_tells_where_to_go_on_if_anywhere() -> None:
    asked = {
        "TableName": "inventory",
        "Segment": 2,
        "TotalSegments": 64,
        "Limit": 250,
        "ConsistentRead": True,
        "ReturnConsumedCapacity": "TOTAL",
    }

    page, client = read_page(scan_answer(item_attributes(4), last=LAST))
    assert (page, client.asked("scan")) == (Page((item_attributes(4),), LAST, read_units=2.5), [asked])

    page, client = read_page(scan_answer(), cursor=LAST)
    assert (page.cursor, client.asked("scan")) == (None, [asked | {"ExclusiveStartKey": to_attribute_values(LAST)}])


def test_a_page_refused_for_a_while_is_asked_for_again() -> None:
    page, _ = read_page(failed_request("ThrottlingException"), lost_answer(), scan_answer(item_attributes(4)))

    assert page.items == (item_attributes(4),)


def test_an_empty_page_with_a_last_key_goes_on() -> None:
    client = ScriptedClient(scan=[scan_answer(last=LAST), scan_answer(item_attributes(4))])

    assert list(table_on(client).scan()) == [item_attributes(4)]
    assert [request.get("ExclusiveStartKey") for request in client.asked("scan")] == [None, to_attribute_values(LAST)]


def test_the_items_of_a_sku_are_those_at_all_its_locations() -> None:
    items = [item_attributes(4), item_attributes(5, location_id="DC2")]
    client = ScriptedClient(query=[{"Items": list(map(to_attribute_values, items))}])

    assert list(table_on(client).items_of_sku("mug")) == items
    (asked,) = client.asked("query")
    assert (asked["ExpressionAttributeValues"], asked["ConsistentRead"]) == ({":sku": {"S": "mug"}}, True)


def test_an_item_is_read_consistently_or_is_not_there() -> None:
    client = ScriptedClient(get_item=[{"Item": to_attribute_values(item_attributes(4))}, {}])

    assert (table_on(client).read(MUG), table_on(client).read(CUP)) == (item_attributes(4), None)
    key = {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}}
    assert client.asked("get_item")[0] == {"TableName": "inventory", "Key": key, "ConsistentRead": True}


def test_items_are_read_consistently_a_key_that_is_named_twice_once_and_none_is_no_request() -> None:
    found = {"inventory": [to_attribute_values(item_attributes(4))]}
    used = [{"CapacityUnits": 2.0}]
    client, spent = ScriptedClient(batch_get_item=[{"Responses": found, "ConsumedCapacity": used}]), list[float]()

    assert table_on(client).read_many([MUG, CUP, MUG], spent.append) == {MUG: item_attributes(4)}
    keys = [to_attribute_values(key._asdict()) for key in (MUG, CUP)]
    (asked,) = client.asked("batch_get_item")
    assert asked["RequestItems"] == {"inventory": {"Keys": keys, "ConsistentRead": True}}
    assert spent == [2.0]
    assert table_on(ScriptedClient()).read_many([]) == {}
