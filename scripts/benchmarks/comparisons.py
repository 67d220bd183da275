"""The comparisons: what runs where, with how many items, in how many rounds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from benchmarks.figures import Entry, entries
from benchmarks.measuring import Place, Progress, interleaved
from benchmarks.one_run import Measurement, RunSpec
from benchmarks.peers import LOOP, PEERS, PRODUCT, PRODUCT_ON_BOTOCORE, Order
from benchmarks.shelves import Shelf

GROWTH_UNITS: Final = (
    "cpu_us_per_item",
    "wall_us_per_item",
    "wall_seconds",
    "items_per_second",
    "peak_megabytes",
    "read_units",
    "requests_per_item",
    "write_units_per_item",
)
WARM_UP: Final = Shelf(stored=50, due=50)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done.

    Attributes:
        rounds: how often each run is repeated.
        items: for the peers on the instant server.
        growth: how many items, all of them due; ``stored``: how many items, of which ``due`` are due.
        padding: bytes that make an item larger.
        sweep_items: how many items those have.
    """

    rounds: int = 5
    items: int = 10_000
    growth: Sequence[int] = (1_000, 10_000, 100_000, 1_000_000)
    stored: Sequence[int] = (10_000, 100_000, 1_000_000)
    due: int = 1_000
    padding: Sequence[int] = (0, 1_600, 5_600, 19_600)
    sweep_items: int = 5_000
    peers: Sequence[str] = field(default=PEERS)


def end_to_end(place: Place, effort: Effort, progress: Progress) -> list[Entry]:
    """Scan, plan and conditional write of every item by every peer."""
    order = Order(Shelf(effort.items, effort.items).table_name)
    specs = {name: _spec(place, name, order) for name in effort.peers}
    return entries("end_to_end", place.engine, interleaved(place, specs, effort.rounds, progress))


def at_a_distance(place: Place, effort: Effort, progress: Progress) -> list[Entry]:
    """The same where every answer takes as long as from an engine behind a network; the loop waits for each item."""
    items = effort.items if set(effort.peers) <= {PRODUCT, PRODUCT_ON_BOTOCORE} else effort.items // 10
    order = Order(Shelf(items, items).table_name)
    specs = {name: _spec(place, name, order) for name in (PRODUCT, PRODUCT_ON_BOTOCORE, LOOP) if name in effort.peers}
    return entries("at_a_distance", place.engine, interleaved(place, specs, effort.rounds, progress))


def growth_of_items(place: Place, effort: Effort, progress: Progress) -> list[Entry]:
    """More and more items, all of them due."""
    orders = {f"{items:,} items": Order(Shelf(items, items).table_name) for items in effort.growth}
    return _sweep("growth_items", place, orders, effort, progress)


def growth_of_table(place: Place, effort: Effort, progress: Progress) -> list[Entry]:
    """The same number of due changes in a table that grows, in scope ``due``."""
    orders = {f"{stored:,} items": Order(Shelf(stored, effort.due).table_name, scope="due") for stored in effort.stored}
    return _sweep("growth_due", place, orders, effort, progress)


def growth_of_item_size(place: Place, effort: Effort, progress: Progress) -> list[Entry]:
    """Larger and larger items."""
    shelves = {padding: Shelf(effort.sweep_items, effort.sweep_items, padding) for padding in effort.padding}
    orders = {f"{shelf.item_bytes / 1000:.1f} KB": Order(shelf.table_name) for shelf in shelves.values()}
    return _sweep("growth_item_size", place, orders, effort, progress)


def _sweep(
    comparison: str, place: Place, orders: Mapping[str, Order], effort: Effort, progress: Progress
) -> list[Entry]:
    """The product alone, once for each order."""
    specs = {case: _spec(place, PRODUCT, order) for case, order in orders.items()}
    return _growth(comparison, place, specs, effort, progress)


def _growth(
    comparison: str, place: Place, specs: Mapping[str, RunSpec], effort: Effort, progress: Progress
) -> list[Entry]:
    measured: Mapping[str, Sequence[Measurement]] = interleaved(place, specs, effort.rounds, progress)
    return [
        entry
        for case, rounds in measured.items()
        for entry in entries(comparison, place.engine, {PRODUCT: rounds}, case=case, units=GROWTH_UNITS)
    ]


def _spec(place: Place, peer: str, order: Order) -> RunSpec:
    warm_up = Order(WARM_UP.table_name, scope=order.scope)
    return RunSpec(peer, warm_up, order, place.pid)
