"""The comparisons: who runs on which shelf."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.measuring import Case
from benchmarks.peers import DELIVERING, LANES, LOADING, LOOP, PEERS, PRODUCT, PRODUCT_ON_BOTOCORE, SCHEDULING, Order
from benchmarks.shelves import Shelf

GROWING_ITEMS: Final = (1_000, 10_000, 100_000, 1_000_000)
GROWING_TABLES: Final = (10_000, 100_000, 1_000_000)
DUE_IN_THEM: Final = 1_000
PADDING_BYTES: Final = (0, 1_600, 5_600, 19_600)


@dataclass(frozen=True, slots=True)
class Effort:
    """How many items there are, how many where they grow larger and how many where they grow in number; who settles
    their changes; how many changes a hot item has, and how many are pending for later."""

    items: int = 10_000
    larger_items: int = 5_000
    most_items: int = 100_000
    hot_a_day: int = 1_000
    pending: int = 100_000
    peers: Sequence[str] = PEERS


def _end_to_end(effort: Effort) -> dict[Case, Order]:
    """Every item with a change that is due: read, settle and write, by every peer."""
    return {(peer, ""): all_due(effort.items) for peer in effort.peers}


def _at_a_distance(effort: Effort) -> dict[Case, Order]:
    """The same where every answer takes as long as from an engine behind a network; the loop waits for each item."""
    items = effort.items if set(effort.peers) <= {PRODUCT, PRODUCT_ON_BOTOCORE} else effort.items // 10
    return {(peer, ""): all_due(items) for peer in (PRODUCT, PRODUCT_ON_BOTOCORE, LOOP) if peer in effort.peers}


def _growth_of_items(effort: Effort) -> dict[Case, Order]:
    """More and more items, all of them due."""
    return {(PRODUCT, f"{items:,} items"): all_due(items) for items in GROWING_ITEMS if items <= effort.most_items}


def _growth_of_table(_effort: Effort) -> dict[Case, Order]:
    """The same number of due changes in a table that grows, in scope ``due``."""
    shelves = [Shelf(stored, DUE_IN_THEM) for stored in GROWING_TABLES]
    return {(PRODUCT, f"{shelf.stored:,} items"): Order(shelf.table_name) for shelf in shelves}


def _growth_of_item_size(effort: Effort) -> dict[Case, Order]:
    """Larger and larger items."""
    shelves = [Shelf(effort.larger_items, effort.larger_items, padding) for padding in PADDING_BYTES]
    return {(PRODUCT, f"{shelf.item_bytes / 1000:.1f} KB"): Order(shelf.table_name) for shelf in shelves}


def _partitions(effort: Effort) -> dict[Case, Order]:
    """One worker where each partition of a table and of its index takes 1,000 write units a second."""
    return {(lanes, ""): all_due(2 * effort.items) for lanes in LANES}


def _doors(effort: Effort) -> dict[Case, Order]:
    """A file with ten times as many rows is taken in."""
    shelf = Shelf(10 * effort.items, 0)
    return {(door, ""): Order(shelf.table_name) for door in (SCHEDULING, DELIVERING, LOADING)}


def all_due(items: int) -> Order:
    """To settle a change of each of so many items."""
    return Order(Shelf(items, items).table_name)


COMPARISONS: Final[Mapping[str, Callable[[Effort], dict[Case, Order]]]] = {
    "end_to_end": _end_to_end,
    "growth_items": _growth_of_items,
    "growth_due": _growth_of_table,
    "growth_item_size": _growth_of_item_size,
    "at_a_distance": _at_a_distance,
    "partitions": _partitions,
    "doors": _doors,
}
MILLISECONDS: Final = {"at_a_distance": 10}
"""What every answer waits where that is not at once."""

PARTITIONED: Final = {"partitions": 8}
"""Over how many partitions a table is spread where that counts."""
