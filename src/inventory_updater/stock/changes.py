"""Changes as a door takes them in, and what their kinds set: frozen values, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from inventory_updater.stock.attributes import Attributes, entry_of, map_at, text_at, time_at


class ChangeKind(StrEnum):
    """What a change does: an adjustment adds to on hand, the others are settings of one attribute."""

    ADJUSTMENT = "adjustment"
    COUNT = "count"
    PRICE = "price"
    REORDER_POINT = "reorder_point"
    SAFETY_STOCK = "safety_stock"


MAXIMUM_ID_BYTES = 64
"""Of a change's id; a sku and a location are not longer either."""

KINDS: tuple[str, ...] = tuple(kind.value for kind in ChangeKind)

FIGURE_SET_BY: Mapping[str, str] = {
    ChangeKind.COUNT.value: "on_hand",
    ChangeKind.PRICE.value: "unit_price",
    ChangeKind.REORDER_POINT.value: "reorder_point",
    ChangeKind.SAFETY_STOCK.value: "safety_stock",
}
"""The figure that a setting sets."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change that somebody asks for: its content, checked. Times are stored times.

    Attributes:
        change_id: unique within the item.
        value: a signed quantity of an adjustment; of the others a quantity or a price, not negative.
        until: the end of a window; only a price, a reorder point or a safety stock has one.
        expected: of a count, what the system showed when it was counted; of a setting, what must stand there.
        not_after: after this moment it is not applied any more.
    """

    change_id: str
    kind: str
    value: Decimal
    effective_at: str
    until: str | None = None
    expected: Decimal | None = None
    not_after: str | None = None
    reason: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class LastSet:
    """The last setting of one kind that was applied."""

    effective_at: str
    change_id: str

    def to_map(self) -> dict[str, object]:
        return {"effective_at": self.effective_at, "change_id": self.change_id}


def read_last_set(attributes: Attributes) -> dict[str, LastSet]:
    """The last setting of each kind.

    Raises:
        UnreadableAttributeError: where one of them is not what it must be.
    """
    return {kind: _last_set(kind, stored) for kind, stored in map_at(attributes, "last_set").items()}


def _last_set(kind: str, stored: object) -> LastSet:
    where = (kind, "last_set")
    entry = entry_of(stored, *where)
    return LastSet(time_at(entry, "effective_at", *where), text_at(entry, "change_id") or "")
