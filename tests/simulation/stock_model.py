"""What an item's figures must be, from what it has decided and what others wrote. Shares no code with the package.

It does not follow the decisions one by one, as the product does: it says what they come to, in whatever order they
came. On hand is what the latest count says, and all bookings that took effect after it, and what others changed since
the count was settled; a figure that can be set is what its latest window shows, or else its latest setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

SET_BY: Final = {"price": "unit_price", "reorder_point": "reorder_point", "safety_stock": "safety_stock"}
_ZERO: Final = Decimal(0)


@dataclass
class ItemModel:
    """One item from the moment in which somebody put it there."""

    put: Mapping[str, Any]
    deltas: list[Decimal] = field(default_factory=list)
    """What others changed of on hand, in order."""
    reserved: Decimal = _ZERO
    bookings: list[tuple[str, Decimal]] = field(default_factory=list)
    counts: list[tuple[str, str, Decimal, int]] = field(default_factory=list)
    """When, id, value, and how many deltas had been made when it was settled."""
    settings: dict[str, tuple[str, str, Decimal]] = field(default_factory=dict)
    windows: dict[str, tuple[str, str, Decimal]] = field(default_factory=dict)
    """Change id -> kind, start, value of those that are open."""

    def decide(self, change: Mapping[str, Any], outcome: str) -> None:
        """Take up what the item has decided about a change; what the change says is as somebody wrote it."""
        name, kind, at, value = (change[part] for part in ("change_id", "kind", "effective_at", "value"))
        was_open = self.windows.pop(name, None) is not None
        if outcome == "OPEN":
            self.windows[name] = (kind, at, value)
        if outcome != "APPLIED" or was_open or "until" in change:
            return
        if kind == "adjustment":
            self.bookings.append((at, value))
        elif kind == "count" and "expected" in change:
            self.bookings.append((at, value - change["expected"]))
        elif kind == "count":
            self.counts.append((at, name, value, len(self.deltas)))
        else:
            self.settings[kind] = max(self.settings.get(kind, ("", "", _ZERO)), (at, name, value))

    def figures(self) -> dict[str, Any]:
        """What a job must leave."""
        on_hand, counted_at, deltas = self.put["on_hand"], "", self.deltas
        if self.counts:
            counted_at, _, on_hand, made = max(self.counts)
            deltas = self.deltas[made:]
        found: dict[str, Any] = {
            "on_hand": on_hand + sum(deltas) + sum(booked for at, booked in self.bookings if at > counted_at),
            "reserved": self.put.get("reserved", _ZERO) + self.reserved,
        }
        for kind, figure in SET_BY.items():
            shown = [(at, name, value) for name, (of, at, value) in self.windows.items() if of == kind]
            if shown or kind in self.settings:
                found[figure] = max(shown)[2] if shown else self.settings[kind][2]
            else:
                found[figure] = self.put.get(figure, None if kind == "price" else _ZERO)
        available = found["on_hand"] - found["reserved"] - found["safety_stock"]
        status = (
            "OUT_OF_STOCK" if available <= 0 else "LOW_STOCK" if available <= found["reorder_point"] else "IN_STOCK"
        )
        return {**found, "available": available, "stock_status": status}


def as_it_is(item: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an item as it is stored; a quantity of 0 may be absent."""
    quantities = ("on_hand", "reserved", "safety_stock", "reorder_point")
    found: dict[str, Any] = {name: item.get(name, _ZERO) for name in quantities}
    return found | {name: item.get(name) for name in ("unit_price", "available", "stock_status")}
