"""Guards over the rows of a file: each beside its item as it comes, and at the end all of them beside each other.

What can be judged only at the end needs another pass over the rows, which is made only where there may be something to
tell. Until then there are some bytes for each row that would empty its item, and a table of 64 K counts for the prices:
each counts the rows of all prices that share it, so one that is large names a suspect, and only suspects are looked at.
"""

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import groupby
from typing import Final

from inventory_updater.intake.refusals import Refusal, Refusals
from inventory_updater.intake.rows import Row
from inventory_updater.stock.changes import Change, ChangeKind
from inventory_updater.stock.guards import OUT_OF_STOCK, SAME_PRICE, USUALLY_OUT_OF_STOCK, Before, Guards, empties
from inventory_updater.stock.numbers import plain

_COUNTS: Final = 1 << 16
_PRICE: Final = ChangeKind.PRICE.value

NewRows = Callable[[], Iterable[Row]]


class Guarding:
    """What is unusual about the new rows of a file: give it each with ``look_at``, and then ``look_back``."""

    def __init__(self, guards: Guards, now: str) -> None:
        self._guards = guards
        self._latest = guards.latest(now)
        self._looked_at = 0
        self._rows_by_price = array("L", [0]) * _COUNTS
        self._emptying = array("q")
        """Which rows leave an item with nothing, and, for each of them, the hash of its item."""
        self._emptied = array("q")

    def look_at(self, row: Row, before: Before, refusals: Refusals) -> None:
        """Tell what is unusual about a row by itself."""
        change = row.change
        for each in self._guards.unusual(change, before, self._latest):
            refusals.add(Refusal(row, each.code, each.message, each.column))
        if change.kind == _PRICE:
            self._rows_by_price[hash(change.value) % _COUNTS] += 1
        elif empties(change, before):
            self._emptying.append(self._looked_at)
            self._emptied.append(hash(row.key))
        self._looked_at += 1

    def look_back(self, rows: NewRows, items: int, refusals: Refusals) -> None:
        """Tell what is unusual about all rows together.

        Args:
            rows: gives the rows that were looked at, in the same order.
            items: how many different items the file has.
            refusals: told each row that has a part in it.
        """
        common_prices = self._common_prices(rows)
        emptied = _different(self._emptied)
        share = self._guards.max_items_out_of_stock or 100  # a file never empties more items than it has
        are_many = emptied > USUALLY_OUT_OF_STOCK and emptied * 100 > share * items
        if not are_many and not common_prices:
            return
        emptying = iter(self._emptying if are_many else ())
        next_place = next(emptying, None)
        for place, row in enumerate(rows()):
            if place == next_place:
                message = (
                    f"leaves nothing available of {row.key}, as this file does of {emptied:,} of its {items:,} items; "
                    f"MaxItemsOutOfStock is {self._guards.max_items_out_of_stock}"
                )
                refusals.add(Refusal(row, OUT_OF_STOCK, message, "value"))
                next_place = next(emptying, None)
            if row.change.kind == _PRICE and (different := common_prices.get(row.change.value)):
                message = (
                    f"{plain(row.change.value)} is the price of {different:,} different items of this file; "
                    f"MaxItemsOfOnePrice is {self._guards.max_items_of_one_price}"
                )
                refusals.add(Refusal(row, SAME_PRICE, message, "value"))

    def _is_suspect(self, change: Change) -> bool:
        rows = self._rows_by_price[hash(change.value) % _COUNTS]
        return change.kind == _PRICE and rows > self._guards.max_items_of_one_price

    def _common_prices(self, rows: NewRows) -> Mapping[Decimal, int]:
        """The prices of more different items than is usual, and of how many."""
        limit = self._guards.max_items_of_one_price
        if not limit or max(self._rows_by_price) <= limit:
            return {}
        items: defaultdict[Decimal, array[int]] = defaultdict(lambda: array("q"))
        for row in rows():
            if self._is_suspect(row.change):
                items[row.change.value].append(hash(row.key))
        found = {price: _different(hashes) for price, hashes in items.items() if len(hashes) > limit}
        return {price: different for price, different in found.items() if different > limit}


def _different(hashes: "array[int]") -> int:
    return sum(1 for _ in groupby(sorted(hashes)))
