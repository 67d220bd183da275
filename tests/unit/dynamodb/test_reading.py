"""Reads that take more than one request."""

from collections.abc import Iterator, Mapping

import pytest

from inventory_updater.dynamodb.reading import query, read_keys, scan
from tests.builders import change, stocked
from tests.fakes.dynamodb import ScriptedClient
from tests.fakes.warehouse import Warehouse
from tests.simulation.faults import Fault, Refused, Request

CUP, MUG = {"sku": "cup"}, {"sku": "mug"}


def stored(*keys: Mapping[str, str]) -> list[dict[str, dict[str, str]]]:
    return [{name: {"S": value} for name, value in key.items()} for key in keys]


def answer(*found: Mapping[str, str], left: list[Mapping[str, str]]) -> dict[str, object]:
    unprocessed = {"shop": {"Keys": stored(*left)}} if left else {}
    return {"Responses": {"shop": stored(*found)}, "UnprocessedKeys": unprocessed}


def read(client: ScriptedClient, pauses: list[float], rounds: int = 5) -> Iterator[Mapping[str, object]]:
    return read_keys(client.client, "shop", [CUP, MUG], is_consistent=True, rounds=rounds, sleep=pauses.append)


def test_a_query_goes_on_where_its_page_ended_until_there_is_none() -> None:
    key = stored(CUP)[0]
    first = {"Items": stored(CUP), "LastEvaluatedKey": key, "ConsumedCapacity": {"CapacityUnits": 1.5}}
    client = ScriptedClient(query=[first, {"Items": stored(MUG)}])

    spent: list[float] = []
    assert list(query(client.client, {"TableName": "shop"}, spent.append)) == [CUP, MUG]
    asked = {"TableName": "shop", "ReturnConsumedCapacity": "TOTAL"}
    assert client.asked("query") == [asked, {**asked, "ExclusiveStartKey": key}]
    assert spent == [1.5, 0.0]


def test_keys_that_were_left_for_later_are_asked_for_again_after_a_pause() -> None:
    client, pauses = ScriptedClient(batch_get_item=[answer(CUP, left=[MUG]), answer(MUG, left=[])]), list[float]()

    assert list(read(client, pauses)) == [CUP, MUG]
    asked = [request["RequestItems"]["shop"]["Keys"] for request in client.asked("batch_get_item")]
    assert asked == [stored(CUP, MUG), stored(MUG)]
    assert len(pauses) == 1


def test_keys_that_are_left_in_every_round_are_an_error_that_counts_them() -> None:
    left, found = answer(left=[CUP, MUG]), answer(CUP, MUG, left=[])

    assert list(read(ScriptedClient(batch_get_item=[left, left, found]), [], rounds=3)) == [CUP, MUG]
    with pytest.raises(TimeoutError, match="table shop did not answer for 2 keys"):
        list(read(ScriptedClient(batch_get_item=[left] * 3), [], rounds=3))


@pytest.mark.usefixtures("without_pauses")
def test_a_scan_finds_everything_once_in_pages_of_many_segments_and_waits_where_the_table_throttles(
    warehouse: Warehouse,
) -> None:
    warehouse.put(*(stocked(change("c1"), change("c2"), sku=f"sku-{number}") for number in range(200)))
    asked: set[int] = set()

    def throttled_once(_operation: str, request: Request) -> Fault | None:
        """Each segment is refused at first."""
        is_new = request["Segment"] not in asked
        asked.add(request["Segment"])
        return Refused("ProvisionedThroughputExceededException") if is_new else None

    warehouse.happens = throttled_once
    found = scan(warehouse.dynamodb.client, {"TableName": warehouse.tables.changes, "Limit": 3})

    names = sorted((str(each["sku"]), str(each["change_id"])) for each in found)
    assert names == sorted((f"sku-{number}", name) for number in range(200) for name in ("c1", "c2"))
    assert warehouse.dynamodb.calls["scan"] > 2 * len(asked) > 8
