"""The stock that the benchmarks work on: items as the product stores them, made from their number alone.

A shelf's table is named after what it holds, so that a server without a memory knows what to answer.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.stock.scheduling import size_in_bytes

AS_OF: Final = "2026-03-02T18:00:00.000000Z"
"""After every change of the stock."""

DUE_AT: Final = "2026-03-02T09:30:00.000000Z"

_NUMBER: Final = "@" * 8
_TABLE_NAME: Final = re.compile(r"inventory-shelf-(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items numbered from 0, some of them with one change due.

    Attributes:
        stored: how many items there are.
        due: how many of them have a change due, spread evenly.
        padding: bytes that each description is longer by.
    """

    stored: int
    due: int
    padding: int = 0

    @property
    def table_name(self) -> str:
        return f"inventory-shelf-{self.stored}-{self.due}-{self.padding}"

    @classmethod
    def of_table(cls, table_name: str) -> "Shelf":
        """The shelf of a table's name; ValueError where no shelf has such a name."""
        match = _TABLE_NAME.fullmatch(table_name)
        if match is None:
            raise ValueError(f"{table_name} is the name of no shelf")
        return cls(*map(int, match.groups()))

    @property
    def step(self) -> int:
        """Every so many items one is due."""
        return max(1, self.stored // self.due) if self.due else self.stored + 1

    @property
    def item_bytes(self) -> int:
        """The size of an item that is due, as DynamoDB counts it."""
        return rendering(True, self.padding)[2]

    def is_due(self, number: int) -> bool:
        return number % self.step == 0 and number // self.step < self.due

    def item(self, number: int) -> dict[str, object]:
        """The attributes of one item, as Python values."""
        return stock_item(f"{number:08}", is_due=self.is_due(number), padding=self.padding)


def stock_item(number: str, *, is_due: bool, padding: int) -> dict[str, object]:
    """A stock item after it was loaded, and after a change of it was scheduled where ``is_due``."""
    item: dict[str, object] = {
        "sku": f"SKU-{number}",
        "location_id": "DC-01",
        "on_hand": Decimal(120),
        "reserved": Decimal(7),
        "safety_stock": Decimal(10),
        "reorder_point": Decimal(40),
        "unit_price": Decimal("12.5"),
        "currency": "EUR",
        "description": "Stoneware mug, 350 ml, speckled blue" + "x" * padding,
        "available": Decimal(103),
        "stock_status": "IN_STOCK",
        "stock_value": Decimal(1500),
        "version": Decimal(2),
        "updated_at": "2026-03-01T08:00:00.000000Z",
    }
    if is_due:
        change = {"kind": "adjustment", "value": Decimal(-3), "effective_at": DUE_AT}
        change |= {"reason": "sale", "reference": f"order-{number}"}
        item |= {"next_change_at": DUE_AT, "pending_changes": {f"change-{number}": change}}
    return item


@lru_cache(maxsize=64)
def rendering(is_due: bool, padding: int) -> tuple[bytes, int, int]:
    """The JSON of an item as a template for ``%``, how often its number stands in it, and the item's size in bytes."""
    item = stock_item(_NUMBER, is_due=is_due, padding=padding)
    text = json.dumps(to_attribute_values(item), separators=(",", ":"))
    template = text.replace("%", "%%").replace(_NUMBER, "%08d").encode()
    # Unlike a map in it, an item has no overhead of its own.
    size = sum(len(name) + size_in_bytes(value) for name, value in item.items())
    return template, text.count(_NUMBER), size
