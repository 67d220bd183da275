"""What the benchmarks look at around a run: the stock on the shelf, processor time, memory, the order of the runs."""

import os
from decimal import Decimal

import pytest

from benchmarks.measuring import Place, interleaved
from benchmarks.one_run import Measurement, RunSpec, peak_bytes
from benchmarks.peers import Order
from benchmarks.processes import cpu_seconds_of_tree
from benchmarks.shelves import Shelf, item_size


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


def test_a_process_has_used_time_and_memory() -> None:
    assert cpu_seconds_of_tree(os.getpid()) > 0
    assert peak_bytes() > 1_000_000


def test_a_run_is_ordered_in_one_line() -> None:
    spec = RunSpec("a peer", Order("warm"), Order("table", scope="due"), server_pid=7)

    assert spec == RunSpec.from_json(spec.to_json())
    assert "\n" not in spec.to_json()


def test_peers_take_turns_in_another_order_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def run(_place: Place, spec: RunSpec) -> Measurement:
        happened.append(spec.peer)
        return Measurement(1, 1, 1.0, 1.0, 1)

    monkeypatch.setattr("benchmarks.measuring.run_once", run)
    specs = {name: RunSpec(name, Order("warm"), Order("table"), 0) for name in ("a", "b")}

    measured = interleaved(Place("nowhere", {}, 0), specs, 2, lambda _said: None)

    assert happened == ["a", "b", "b", "a"]
    assert {name: len(rounds) for name, rounds in measured.items()} == {"a": 2, "b": 2}
