"""What the benchmarks look at around a run: the engine's items, its processor time and write units, the runs' order."""

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from benchmarks.engine_places import RealPlace, put_shelf
from benchmarks.expressions import decide, update_request
from benchmarks.measuring import Place, RunFailed, interleaved
from benchmarks.one_run import Measurement, RunSpec, peak_bytes
from benchmarks.peers import Order
from benchmarks.processes import cpu_seconds_of_tree
from benchmarks.shelves import Shelf, item_size
from benchmarks.write_units import table_units
from inventory_updater.dynamodb.values import to_attribute_value
from tests.engines import table_definition

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SHELF = Shelf(stored=30, due=15)


@pytest.fixture
def place(moto_client: "DynamoDBClient") -> Iterator[RealPlace]:
    definition = table_definition("InventoryTable", "test")
    moto_client.create_table(**definition)
    order = Order(definition["TableName"])
    yield RealPlace(Place("moto", {}, os.getpid()), moto_client, order, order, SHELF)
    moto_client.delete_table(TableName=definition["TableName"])


def updated(place: RealPlace, numbers: range) -> None:
    for number in numbers:
        update = decide(SHELF.item(number))
        if update is not None:
            place.client.update_item(TableName=place.order.inventory, **update_request(update, to_attribute_value))


def test_items_that_are_what_the_plan_says_pass(place: RealPlace) -> None:
    put_shelf(place.client, place.order.inventory, SHELF)
    updated(place, range(30))

    place.check("a peer")


def test_an_item_that_was_not_updated_is_named(place: RealPlace) -> None:
    put_shelf(place.client, place.order.inventory, SHELF)
    updated(place, range(28))

    with pytest.raises(RunFailed, match="a peer on moto left SKU-00000028 as "):
        place.check("a peer")


def test_an_item_that_is_not_there_is_named(place: RealPlace) -> None:
    put_shelf(place.client, place.order.inventory, SHELF, range(29))
    updated(place, range(29))

    with pytest.raises(RunFailed, match="left SKU-00000029 as None"):
        place.check("a peer")


def test_every_third_of_thirty_items_is_due_where_ten_are() -> None:
    shelf = Shelf(stored=30, due=10)

    assert [number for number in range(30) if shelf.is_due(number)] == list(range(0, 30, 3))
    assert not any(Shelf(stored=30, due=0).is_due(number) for number in range(30))


def test_an_item_is_as_large_as_dynamodb_counts_it() -> None:
    # Names; text by its bytes; a byte for two digits, one more, one for the sign; a map and a byte for each pair.
    assert item_size({"sku": "mug", "on_hand": Decimal(-120), "map": {"a": "xy"}}) == (3 + 7 + 3) + 3 + 3 + (3 + 1 + 3)
    assert Shelf(1, 1, padding=1000).item_bytes == Shelf(1, 1).item_bytes + 1000


def test_the_name_of_a_table_says_what_is_on_the_shelf() -> None:
    assert Shelf.of_table(Shelf(1_000_000, 1_000, 20).table_name) == Shelf(1_000_000, 1_000, 20)


@pytest.mark.parametrize(
    ("reported", "units"),
    [
        ({"CapacityUnits": 2.0, "Table": {"CapacityUnits": 1.0}}, 1.0),
        ({"CapacityUnits": 25.0}, 25.0),
        ({"CapacityUnits": 6.0, "WriteCapacityUnits": 4.0}, 4.0),
        ({}, 0.0),
    ],
)
def test_write_units_are_the_tables_alone(reported: dict[str, object], units: float) -> None:
    assert units == table_units([reported])


def test_a_process_has_used_time_and_memory() -> None:
    assert cpu_seconds_of_tree(os.getpid()) > 0
    assert peak_bytes() > 1_000_000


def test_a_run_is_ordered_in_one_line() -> None:
    spec = RunSpec("a peer", Order("warm"), Order("table", settings={"segments": 2}), engine_pid=7)

    assert spec == RunSpec.from_json(spec.to_json())
    assert "\n" not in spec.to_json()


def test_peers_take_turns_in_another_order_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def run(_place: Place, spec: RunSpec) -> Measurement:
        happened.append(spec.peer)
        return Measurement(1, 1, 1.0, 1.0, 1)

    monkeypatch.setattr("benchmarks.measuring.run_once", run)
    specs = {name: RunSpec(name, Order("warm"), Order("table")) for name in ("a", "b")}
    place = Place("nowhere", {}, 0, restore=lambda: happened.append("restored"))

    measured = interleaved(place, specs, 2, lambda _said: None, lambda name: happened.append(f"{name} checked"))

    turns = ["restored", "a", "a checked", "restored", "b", "b checked"]
    assert happened == [*turns, *turns[3:], *turns[:3]]
    assert {name: len(rounds) for name, rounds in measured.items()} == {"a": 2, "b": 2}
