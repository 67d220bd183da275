"""What the benchmarks look at around a run: the stock on the shelf, processor time, memory, the order of the runs."""

import os

import pytest

from benchmarks.measuring import Place, interleaved
from benchmarks.one_run import Measurement, cpu_seconds_of_tree, peak_bytes
from benchmarks.peers import Order
from benchmarks.shelves import SHARDS, Shelf


def test_what_is_due_is_spread_over_all_shards() -> None:
    shelf = Shelf(stored=300, due=200)

    found = [number for shard in range(SHARDS) for number in shelf.due_in(shard)]

    assert sorted(found) == list(range(200))
    assert {len(shelf.due_in(shard)) for shard in range(SHARDS)} == {3, 4}


def test_padding_makes_an_item_as_much_larger() -> None:
    assert Shelf(1, 1, padding=1000).item_bytes == Shelf(1, 1).item_bytes + 1000


def test_a_process_has_used_time_and_memory() -> None:
    assert cpu_seconds_of_tree(os.getpid()) > 0
    assert peak_bytes() > 1_000_000


def test_peers_take_turns_in_another_order_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []

    def run(_place: Place, peer: str, _order: Order) -> Measurement:
        happened.append(peer)
        return Measurement(1, 1.0, 1.0, 1, None, 1.0, 1, 1.0)

    monkeypatch.setattr("benchmarks.measuring.run_once", run)
    orders = {(name, ""): Order("table") for name in ("a", "b")}

    measured = interleaved(Place("nowhere", {}, 0), orders, 2, lambda _said: None)

    assert happened == ["a", "b", "b", "a"]
    assert {peer: len(rounds) for (peer, _), rounds in measured.items()} == {"a": 2, "b": 2}
