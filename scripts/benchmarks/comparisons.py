"""The comparisons on the instant server: what runs there, with how many items, in how many rounds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Entry, entries
from benchmarks.measuring import Place, Progress, interleaved
from benchmarks.one_run import RunSpec
from benchmarks.peers import PEERS, Order
from benchmarks.shelves import Shelf

WARM_UP: Final = Shelf(stored=50, due=50)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done: ``rounds`` of ``items``."""

    rounds: int = 5
    items: int = 10_000


def end_to_end(place: Place, effort: Effort, progress: Progress, peers: Sequence[str] = PEERS) -> list[Entry]:
    """Scan, plan and conditional write of every item, by every peer."""
    order = Order(Shelf(effort.items, effort.items).table_name)
    specs = {name: _spec(place, name, order) for name in peers}
    return entries("end_to_end", place.engine, interleaved(place, specs, effort.rounds, progress))


def _spec(place: Place, peer: str, order: Order) -> RunSpec:
    warm_up = Order(WARM_UP.table_name, scope=order.scope, settings=order.settings)
    return RunSpec(peer, warm_up, order, place.has_counts)
