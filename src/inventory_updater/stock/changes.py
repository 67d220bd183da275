"""Scheduled changes, and what an item knows of its own: frozen values, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from inventory_updater.stock.attributes import Attributes, entry_of, map_at, text_at, time_at, version_of
from inventory_updater.stock.numbers import NUMBERS, ZERO


class ChangeKind(StrEnum):
    """What a change does: an adjustment adds to on hand, the others are settings of one attribute."""

    ADJUSTMENT = "adjustment"
    COUNT = "count"
    PRICE = "price"
    REORDER_POINT = "reorder_point"
    SAFETY_STOCK = "safety_stock"


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
    """A scheduled change as it stands in its item.

    ``kind`` and ``value`` are held as they were found, because another writer may have put anything there:
    planning judges them. ``effective_at`` is always a stored time.
    """

    change_id: str
    kind: object
    value: object
    effective_at: str
    reason: object = None
    reference: object = None

    def to_map(self) -> dict[str, object]:
        """The map that is stored under the change's id; absent texts are left out."""
        stored = {"kind": self.kind, "value": self.value, "effective_at": self.effective_at}
        if self.reason is not None:
            stored["reason"] = self.reason
        if self.reference is not None:
            stored["reference"] = self.reference
        return stored


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that could not be applied, and why; it can be put back (``changes.py retry``)."""

    change: Change
    code: str
    message: str
    rejected_at: str
    job_id: str

    def to_map(self) -> dict[str, object]:
        return self.change.to_map() | {
            "code": self.code,
            "message": self.message,
            "rejected_at": self.rejected_at,
            "job_id": self.job_id,
        }


@dataclass(frozen=True, slots=True)
class Settlement:
    """When a change was applied or superseded (by the clock), and when it had been due."""

    settled_at: str
    effective_at: str

    def to_map(self) -> dict[str, object]:
        return {"settled_at": self.settled_at, "effective_at": self.effective_at}


@dataclass(frozen=True, slots=True)
class LastSet:
    """The last setting of one kind that was applied."""

    effective_at: str
    change_id: str

    def to_map(self) -> dict[str, object]:
        return {"effective_at": self.effective_at, "change_id": self.change_id}


@dataclass(frozen=True, slots=True)
class ItemChanges:
    """Everything an item knows of its changes; ``version`` guards it, since who writes it raises the version."""

    pending: Mapping[str, Change] = field(default_factory=dict)
    settled: Mapping[str, Settlement] = field(default_factory=dict)
    rejected: Mapping[str, Rejection] = field(default_factory=dict)
    last_set: Mapping[str, LastSet] = field(default_factory=dict)
    next_change_at: str | None = None
    settled_before: str | None = None
    version: Decimal | None = None

    @property
    def next_version(self) -> Decimal:
        return NUMBERS.add(self.version or ZERO, Decimal(1))


def read_changes(attributes: Attributes) -> ItemChanges:
    """What an item knows of its changes.

    Raises:
        UnreadableAttributeError: where one of the maps, times or the version is not what it must be.
    """
    return ItemChanges(
        pending={
            change_id: _change(change_id, stored, "pending_changes")
            for change_id, stored in map_at(attributes, "pending_changes").items()
        },
        settled={
            change_id: _settlement(change_id, stored)
            for change_id, stored in map_at(attributes, "settled_changes").items()
        },
        rejected={
            change_id: _rejection(change_id, stored)
            for change_id, stored in map_at(attributes, "rejected_changes").items()
        },
        last_set=read_last_set(attributes),
        next_change_at=text_at(attributes, "next_change_at"),
        settled_before=text_at(attributes, "settled_before"),
        version=version_of(attributes),
    )


def _change(change_id: str, stored: object, map_name: str) -> Change:
    entry = entry_of(stored, change_id, map_name)
    return Change(
        change_id,
        entry.get("kind"),
        entry.get("value"),
        time_at(entry, "effective_at", change_id, map_name),
        entry.get("reason"),
        entry.get("reference"),
    )


def _settlement(change_id: str, stored: object) -> Settlement:
    where = (change_id, "settled_changes")
    entry = entry_of(stored, *where)
    return Settlement(time_at(entry, "settled_at", *where), time_at(entry, "effective_at", *where))


def _rejection(change_id: str, stored: object) -> Rejection:
    where = (change_id, "rejected_changes")
    entry = entry_of(stored, *where)
    return Rejection(
        _change(change_id, stored, "rejected_changes"),
        str(entry.get("code")),
        str(entry.get("message")),
        time_at(entry, "rejected_at", *where),
        str(entry.get("job_id")),
    )


def read_last_set(attributes: Attributes) -> dict[str, LastSet]:
    """The last setting of each kind.

    Raises:
        UnreadableAttributeError: where one of them is not what it must be.
    """
    return {kind: _last_set(kind, stored) for kind, stored in map_at(attributes, "last_set").items()}


def _last_set(kind: str, stored: object) -> LastSet:
    where = (kind, "last_set")
    entry = entry_of(stored, *where)
    return LastSet(time_at(entry, "effective_at", *where), str(entry.get("change_id")))
