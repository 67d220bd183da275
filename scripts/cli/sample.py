"""Sample stock and changes of a shop that does not exist: the same seed always gives the same three files.

The changes of an item are made up along its timeline with its stock kept in mind, so that it is known beforehand what
becomes of each: run once at or after `around`, a job rejects the oversold and the expired and nothing else, opens the
price windows, leaves the future changes pending and applies the rest.

    40 days before       20 days before         7 days before            2 hours before around          2099
    |  late changes,     |                      |  changes, each at a moment   |                       |  future
    |  sent only now     |                      |  of its own within its item  |                       |  changes,
                                                   windows open here ──────────┼───────────────────────┼─▶ and close
"""

import csv
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

from inventory_updater.intake.text_rows import CHANGE_COLUMNS, STOCK_COLUMNS
from inventory_updater.stock.numbers import plain

DELIVERED_ITEMS: Final = 10
DELIVERY_COLUMNS: Final = ("change_id", "sku", "location_id", "kind", "value", "effective_at", "reason")

# A fixed moment, so that the files do not depend on when they are made; it has passed, so that due changes are due.
AROUND: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
FUTURE: Final = datetime(2099, 1, 5, 6, tzinfo=UTC)

# Of an item no two changes share a moment, so there have to be far more moments than changes.
MAXIMUM_CHANGES_PER_ITEM: Final = 100

HOUR: Final = 60 * 60
DAY: Final = 24 * HOUR

T = TypeVar("T")

LOCATIONS: Final = ("LEEDS-DC", "BRISTOL-DC", "YORK-SHOP", "BATH-SHOP", "ONLINE")
COLOURS: Final = ("Ash Grey", "Chalk", "Cobalt", "Forest", "Mustard", "Navy", "Ochre", "Rosé", "Sage", "Terracotta")
LINES: Final = ("Alder", "Beacon", "Cairn", "Dale", "Ember", "Fjord", "Garth", "Heath", "Ivel", "Lark", "Moor", "Tarn")


@dataclass(frozen=True, slots=True)
class Category:
    """What a kind of product is called, costs (in pence) and is counted in (`places` decimals: 0 for pieces)."""

    prefix: str
    nouns: tuple[str, ...]
    cheapest: int
    dearest: int
    usually: int
    places: int = 0

    @property
    def unit(self) -> int:
        """One piece, metre or kilogram in the smallest quantity that it is sold in, which all whole numbers count."""
        return int(10**self.places)

    @property
    def usual_stock(self) -> int:
        return self.usually * self.unit


CATEGORIES: Final = (
    Category("KIT", ("Stoneware Mug", "Cereal Bowl", "Serving Plate", "Milk Jug", "Teapot, 1.2 l"), 450, 3200, 180),
    Category("TXT", ("Tea Towel", "Cushion Cover", "Table Runner", "Wool Throw", "Apron"), 600, 6500, 120),
    Category("LGT", ("Desk Lamp", "Pendant Shade", 'Lantern, 8" tall', "String Lights"), 1200, 14500, 60),
    Category("STA", ("Notebook A5", "Gift Wrap Roll", "Card Set of 8", "Brass Ruler"), 150, 1800, 400),
    Category("GRD", ("Plant Pot", "Watering Can", "Seed Tin", "Bird Feeder"), 350, 4200, 150),
    Category("FAB", ("Linen by the metre", "Cotton Print by the metre"), 800, 2600, 300, places=2),
    Category("DEL", ("Coffee Beans by the kilogram", "Loose Tea by the kilogram"), 1400, 5200, 90, places=3),
)

# What a hundred changes are made of; a group stays together on one item. The groups that come first are one of every
# special sort, so that even a small sample has them all.
FIRST_GROUPS: Final = (
    *("oversold", "future", "late count", "price", "reorder_point", "safety_stock", "recount", "window", "expired"),
)
OTHER_GROUPS: Final = (
    *("oversold", "future", "future", "late count", "late count", "late", "late", "late", "count", "count"),
    *("price",) * 7,
    *("reorder_point", "safety_stock", "recount", "recount", "window", "expired"),
    *("received",) * 18,
    *("returned",) * 4,
    *("damaged",) * 3,
    *("sold",) * 43,
)

# What is sent only now, and may mean any of these.
MEANT_BY: Final = {"late": ("sold", "sold", "returned"), "future": ("received", "price", "count")}

REASONS: Final = {
    "sold": ("sale", "order"),
    "received": ("goods received", "delivery"),
    "returned": ("return", "order"),
    "damaged": ("damaged, written off", "report"),
    "oversold": ("sale", "wholesale order"),
    "expired": ("sale, kept for an hour", "order"),
    "count": ("stock count", "count"),
    "recount": ("shelf recounted", "count"),
    "price": ("new price", "price list"),
    "window": ("campaign", "price list"),
    **dict.fromkeys(("reorder_point", "safety_stock"), ("yearly review", "review")),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written, and what becomes of the changes in one job that runs at or after the moment of the sample.

    The delivery is not among them.
    """

    stock_file: Path
    changes_file: Path
    delivery_file: Path
    items: int
    changes: int
    applied: int
    opened: int
    rejected: int
    pending: int


@dataclass(frozen=True, slots=True)
class SampleItem:
    """One item: its row in the stock file, and what its changes need to know; `price` is in pence, 0 without one."""

    row: tuple[str, ...]
    category: Category
    on_hand: int
    price: int


@dataclass(frozen=True, slots=True, order=True)
class SampleChange:
    """One change without its id, ordered by when it was sent; times are seconds since 1970."""

    sent_at: int
    item_number: int
    effective_at: int
    cells: tuple[str, ...]


def write_sample(directory: Path, items: int, changes: int, seed: int, around: datetime = AROUND) -> Sample:
    """Write `stock.csv`, `changes.csv` and `delivery.csv` into the directory, which is made where it is missing.

    `around` is the moment of the sample, with a zone: every change that is due is due by then. ValueError means that a
    number is negative, or that there are more changes than so many items may hold. The delivery is a small file of its
    own, which nothing else depends on: the first items receive something at that moment.
    """
    if items < 0 or changes < 0 or seed < 0:
        raise ValueError("the numbers of items and changes and the seed may not be negative")
    if changes > items * MAXIMUM_CHANGES_PER_ITEM:
        raise ValueError(f"{items} items are too few for {changes} changes: {MAXIMUM_CHANGES_PER_ITEM} an item at most")
    directory.mkdir(parents=True, exist_ok=True)
    stock_file, changes_file, delivery_file = (directory / f"{name}.csv" for name in ("stock", "changes", "delivery"))
    # Two sources of chance, so that the stock of a seed is the same whatever the number of changes.
    demand = Chance(f"{seed} changes")
    sorts_of_item = _sorts_of_items(demand, items, changes)
    sent: list[SampleChange] = []
    delivered: list[SampleItem] = []
    with stock_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(STOCK_COLUMNS)
        for number, item in enumerate(_items(Chance(f"{seed} stock"), items)):
            writer.writerow(item.row)
            if number < DELIVERED_ITEMS:
                delivered.append(item)
            if sorts := sorts_of_item.get(number):
                sent += _Timeline(demand, item, number, int(around.timestamp()), item.on_hand).changes(sorts)
    width = max(4, len(str(changes)))
    with changes_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CHANGE_COLUMNS)
        # The seed is in the id, so that the changes of a second sample can be scheduled on the stock of a first.
        writer.writerows((f"S{seed}-{n:0{width}d}", *change.cells) for n, change in enumerate(sorted(sent), start=1))
    with delivery_file.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(DELIVERY_COLUMNS)
        writer.writerows(
            (
                f"D{seed}-{n}",
                *item.row[:2],
                "adjustment",
                item.category.usually,
                _time(int(around.timestamp())),
                "delivery",
            )
            for n, item in enumerate(delivered, start=1)
        )
    made = Counter(chain.from_iterable(sorts_of_item.values()))
    opened, rejected, pending = made["window"], made["oversold"] + made["expired"], made["future"]
    applied = changes - opened - rejected - pending
    return Sample(stock_file, changes_file, delivery_file, items, changes, applied, opened, rejected, pending)


class Chance(random.Random):
    """Choices that follow from a seed; made of `random()` alone, whose numbers Python promises never to change."""

    def whole(self, least: int, most: int) -> int:
        return least + int(self.random() * (most - least + 1))

    def one_of(self, values: Sequence[T]) -> T:
        return values[self.whole(0, len(values) - 1)]

    def happens(self, percent: int) -> bool:
        return self.random() * 100 < percent

    def shuffled(self, values: Sequence[T]) -> list[T]:
        shuffled = list(values)
        for last in range(len(shuffled) - 1, 0, -1):
            other = self.whole(0, last)
            shuffled[last], shuffled[other] = shuffled[other], shuffled[last]
        return shuffled


def _items(chance: Chance, count: int) -> Iterator[SampleItem]:
    """Yield the items, product by product, each product at one to three locations."""
    product = 0
    while count:
        product += 1
        category = chance.one_of(CATEGORIES)
        name = f"{chance.one_of(LINES)} {chance.one_of(category.nouns)}, {chance.one_of(COLOURS)}"
        price = 0 if chance.happens(2) else chance.whole(category.cheapest, category.dearest)
        locations = sorted(chance.shuffled(LOCATIONS)[: chance.whole(1, 3)])[:count]
        count -= len(locations)
        for location_id in locations:
            yield _item(chance, category, f"{category.prefix}-{product:06d}", location_id, name, price)


def _item(chance: Chance, category: Category, sku: str, location_id: str, name: str, price: int) -> SampleItem:
    on_hand = 0 if chance.happens(3) else chance.whole(category.usual_stock // 10, category.usual_stock * 2)
    reserved = chance.whole(0, on_hand // 10)
    safety_stock = chance.whole(0, category.usually // 20) * category.unit
    reorder_point = chance.whole(0, category.usually // 4) * category.unit
    quantities = (_decimal(units, category.places) for units in (on_hand, reserved, safety_stock, reorder_point))
    money = (_decimal(price, 2), "GBP") if price else ("", "")
    return SampleItem((sku, location_id, *quantities, *money, name), category, on_hand, price)


def _decimal(units: int, places: int) -> str:
    return plain(Decimal(units).scaleb(-places))


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _sorts_of_items(chance: Chance, items: int, changes: int) -> dict[int, list[str]]:
    """The sorts of changes of each item that gets any, half of them for every fifth: some products sell, most lie."""
    sorts: dict[int, list[str]] = {}
    while changes:
        for group in (*FIRST_GROUPS, *chance.shuffled(OTHER_GROUPS)):
            number = 5 * chance.whole(0, (items - 1) // 5) if chance.happens(50) else chance.whole(0, items - 1)
            added = group.split()[:changes]
            sorts.setdefault(number, []).extend(added)
            changes -= len(added)
    return sorts


@dataclass(slots=True)
class _Timeline:
    """The changes of one item, each made up in the knowledge of what is on hand at its moment."""

    chance: Chance
    item: SampleItem
    number: int
    around: int
    on_hand: int

    def changes(self, sorts: Sequence[str]) -> Iterator[SampleChange]:
        # In one instant the order of the changes would follow from their ids: no two of an item share one.
        moments: set[int] = set()
        for sort in sorts:
            while (moment := self._moment(sort)) in moments:
                pass
            moments.add(moment)
        others = self.chance.shuffled([sort for sort in sorts if sort not in ("late", "future")])
        in_order = (*("late",) * sorts.count("late"), *others, *("future",) * sorts.count("future"))
        for moment, sort in zip(sorted(moments), in_order, strict=True):
            yield self._change(moment, sort)

    def _moment(self, sort: str) -> int:
        """When a change of this sort takes effect: see the drawing at the top."""
        if sort == "late":
            return self.around - self.chance.whole(20 * DAY, 40 * DAY)
        if sort == "future":
            return self._far_end() + self.chance.whole(0, 30 * DAY)
        return self.around - self.chance.whole(2 * HOUR, 7 * DAY)

    def _far_end(self) -> int:
        return max(int(FUTURE.timestamp()), self.around + 365 * DAY)

    def _change(self, effective_at: int, sort: str) -> SampleChange:
        is_sent_now = sort in MEANT_BY
        sent_at = self.around - self.chance.whole(0, DAY) if is_sent_now else effective_at
        meant = self.chance.one_of(MEANT_BY[sort]) if is_sent_now else sort
        if meant in ("sold", "damaged") and not self.on_hand:
            meant = "received"
        found = self.on_hand
        kind, value, places = self._kind_and_value(meant)
        reason, document = REASONS[meant]
        cells = (
            *self.item.row[:2],
            kind,
            _decimal(value, places),
            _time(effective_at),
            _time(self._far_end()) if meant == "window" else "",
            _decimal(found, places) if meant == "recount" else "",
            _time(effective_at + HOUR) if meant == "expired" else "",
            f"{reason}, booked late" if sort == "late" else reason,
            f"{document} {self.chance.whole(10_000, 99_999)}",
        )
        return SampleChange(sent_at, self.number, effective_at, cells)

    def _kind_and_value(self, meant: str) -> tuple[str, int, int]:
        """The change's kind, and its value with so many decimals."""
        category, chance = self.item.category, self.chance
        unit, usual_stock, places = category.unit, category.usual_stock, category.places
        match meant:
            case "price" | "window":
                return "price", (self.item.price or 1_000) * chance.whole(80, 125) // 100, 2
            case "reorder_point" | "safety_stock":
                return meant, chance.whole(0, category.usually // 4) * unit, places
            case "count" | "recount":
                self.on_hand = max(0, self.on_hand + chance.whole(-3, 3) * unit)
                return "count", self.on_hand, places
            case "oversold":  # which changes nothing
                return "adjustment", -self.on_hand - chance.whole(1, usual_stock), places
            case "expired":  # nor does this
                return "adjustment", -chance.whole(1, 3) * unit, places
            case "sold":
                quantity = -min(self.on_hand, chance.whole(1, usual_stock // 10))
            case "damaged":
                quantity = -min(self.on_hand, chance.whole(1, 3) * unit)
            case "returned":
                quantity = chance.whole(1, 3) * unit
            case _:
                quantity = chance.whole(usual_stock // 4, usual_stock)
        self.on_hand += quantity
        return "adjustment", quantity, places
