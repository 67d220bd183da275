"""The stock that the benchmarks work on: items and records as the product stores them, made from a number alone.

A shelf's tables are named after what it holds, so that a server without a memory knows what to answer.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from benchmarks.units import item_size
from inventory_updater.dynamodb.values import to_attribute_values

AS_OF: Final = "2026-03-02T18:00:00.000000Z"
"""After every change of the stock."""

DUE_AT: Final = "2026-03-02T09:30:00.000000Z"

SHARDS: Final = 64

_NUMBER: Final = "@" * 8
_TABLE_NAME: Final = re.compile(r"(?:inventory|changes)-shelf-(\d+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Items numbered from 0, the first of them with one change due.

    Attributes:
        stored: how many items there are.
        due: how many of them have a change due.
        padding: bytes that each description is longer by.
    """

    stored: int
    due: int
    padding: int = 0

    @property
    def table_name(self) -> str:
        """The inventory table."""
        return f"inventory-shelf-{self.stored}-{self.due}-{self.padding}"

    @property
    def changes_table_name(self) -> str:
        return changes_table_of(self.table_name)

    @classmethod
    def of_table(cls, table_name: str) -> "Shelf":
        """The shelf of a table's name; ValueError where no shelf has such a name."""
        match = _TABLE_NAME.fullmatch(table_name)
        if match is None:
            raise ValueError(f"{table_name} is the name of no shelf")
        return cls(*map(int, match.groups()))

    @property
    def item_bytes(self) -> int:
        """The size of an item, as DynamoDB counts it."""
        return rendering(stock_item, self.padding)[2]

    def due_in(self, shard: int) -> range:
        """The numbers of the items whose change is due in a shard of the index, spread evenly."""
        return range(shard, self.due, SHARDS)


def changes_table_of(inventory_table: str) -> str:
    """The changes table beside an inventory table."""
    return inventory_table.replace("inventory-", "changes-", 1)


def stock_item(number: str, padding: int = 0) -> dict[str, object]:
    """A stock item after it was loaded."""
    return {
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
        "last_set": {"adjustment": {"effective_at": "2026-03-01T08:00:00.000000Z", "change_id": f"before-{number}"}},
        "version": Decimal(2),
        "updated_at": "2026-03-01T08:00:00.000000Z",
    }


def due_entry(number: str, _padding: int = 0) -> dict[str, object]:
    """What the index ``due`` holds of a change; its shard is whichever was asked for."""
    return {"item": f"SKU-{number}#DC-01", "change_id": f"change-{number}", "due_shard": "00", "due_at": DUE_AT}


def due_record(number: str, _padding: int = 0) -> dict[str, object]:
    """A change that is due, after it was scheduled."""
    return {
        **due_entry(number),
        "sku": f"SKU-{number}",
        "location_id": "DC-01",
        "kind": "adjustment",
        "value": Decimal(-3),
        "effective_at": DUE_AT,
        "reason": "sale",
        "reference": f"order-{number}",
        "actor": "someone",
        "source": "sales.csv",
        "status": "PENDING",
        "attempt": Decimal(1),
    }


Made = Callable[[str, int], Mapping[str, object]]
"""What makes attributes of a number and a padding."""


@lru_cache(maxsize=64)
def rendering(made: Made, padding: int = 0) -> tuple[bytes, int, int]:
    """The JSON of what ``made`` makes as a template for ``%``, how often its number stands in it, and its size."""
    attributes = to_attribute_values(made(_NUMBER, padding))
    text = json.dumps(attributes, separators=(",", ":"))
    return text.replace("%", "%%").replace(_NUMBER, "%08d").encode(), text.count(_NUMBER), item_size(attributes)
