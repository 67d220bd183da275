"""An item as the second generation knows it: its figures, its open windows, and what it has decided. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from inventory_updater.stock.attributes import (
    Attributes,
    UnreadableAttributeError,
    entry_of,
    map_at,
    number_at,
    text_at,
    time_at,
    version_of,
    wrong_type,
)
from inventory_updater.stock.change_records import WINDOW_KINDS, Status
from inventory_updater.stock.changes import FIGURE_SET_BY, LastSet, read_last_set
from inventory_updater.stock.items import InvalidItem, ItemKey, StockItem, read_item, read_key
from inventory_updater.stock.numbers import NUMBERS, ZERO

GUARDED: Final = (
    *("on_hand", "reserved", "safety_stock", "reorder_point", "unit_price", "available", "stock_status", "stock_value"),
)


@dataclass(frozen=True, slots=True)
class Window:
    """A setting that holds from ``start`` to ``end``."""

    kind: str
    value: Decimal
    start: str
    end: str

    def to_map(self) -> dict[str, object]:
        return {"kind": self.kind, "value": self.value, "from": self.start, "until": self.end}


@dataclass(frozen=True, slots=True)
class Decision:
    """What an item has decided about one attempt of a change, and all that the change's record is to say of it."""

    attempt: int
    outcome: Status
    settled_at: str
    code: str | None = None
    message: str | None = None
    before: Decimal | None = None
    after: Decimal | None = None

    def to_map(self) -> dict[str, object]:
        stored: dict[str, object] = {
            "attempt": Decimal(self.attempt),
            "outcome": self.outcome.value,
            "settled_at": self.settled_at,
        }
        told = {"code": self.code, "message": self.message, "before": self.before, "after": self.after}
        return stored | {name: value for name, value in told.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item with what planning needs beside its figures.

    Attributes:
        item: key, figures and derived figures.
        last_set: kind -> the last setting that set a base, and of adjustments the latest that was applied.
        windows: change id -> the windows that are open.
        bases: kind -> what the figure is without its windows, None where it is absent; only where one is open.
        decided: change id -> what was decided and the records may not say yet.
        version: every write of the product raises it by one.
    """

    item: StockItem
    last_set: Mapping[str, LastSet] = field(default_factory=dict)
    windows: Mapping[str, Window] = field(default_factory=dict)
    bases: Mapping[str, Decimal | None] = field(default_factory=dict)
    decided: Mapping[str, Decision] = field(default_factory=dict)
    version: Decimal | None = None

    @property
    def key(self) -> ItemKey:
        return self.item.key

    @property
    def next_version(self) -> Decimal:
        return NUMBERS.add(self.version or ZERO, Decimal(1))

    @property
    def guard(self) -> dict[str, object]:
        """What was read of every figure, and the version: a write of the item holds only if all of it still holds."""
        return {name: getattr(self.item, name) for name in GUARDED} | {"version": self.version}

    def is_negative(self, *, may_be: bool) -> bool:
        """Whether another writer left a negative figure; on hand ``may_be`` where the stack allows it."""
        return (self.item.reserved or ZERO) < 0 or (self.item.on_hand < 0 and not may_be)


def read_state(attributes: Attributes) -> ItemState | InvalidItem:
    """The item in ``attributes``, or why there is none."""
    item = read_item(attributes)
    if isinstance(item, InvalidItem):
        return item
    try:
        windows = {name: _window(name, stored) for name, stored in map_at(attributes, "windows").items()}
        return ItemState(
            item=item,
            last_set=read_last_set(attributes),
            windows=windows,
            bases={
                window.kind: number_at(attributes, f"base_{FIGURE_SET_BY[window.kind]}") for window in windows.values()
            },
            decided={name: _decision(name, stored) for name, stored in map_at(attributes, "decided").items()},
            version=version_of(attributes),
        )
    except UnreadableAttributeError as error:
        return InvalidItem(read_key(attributes), error.code, str(error))


def _window(name: str, stored: object) -> Window:
    entry = entry_of(stored, name, "windows")
    start, end = (time_at(entry, moment, name, "windows") for moment in ("from", "until"))
    kind = entry.get("kind")
    if kind not in WINDOW_KINDS:
        raise wrong_type(f"windows.{name}.kind", "a kind that has windows")
    return Window(str(kind), _number(entry, name, "windows", "value"), start, end)


def _decision(name: str, stored: object) -> Decision:
    entry = entry_of(stored, name, "decided")
    try:
        outcome = Status(text_at(entry, "outcome") or "")
    except ValueError:
        raise wrong_type(f"decided.{name}.outcome", "an outcome") from None
    return Decision(
        attempt=int(_number(entry, name, "decided", "attempt")),
        outcome=outcome,
        settled_at=time_at(entry, "settled_at", name, "decided"),
        code=text_at(entry, "code"),
        message=text_at(entry, "message"),
        before=number_at(entry, "before"),
        after=number_at(entry, "after"),
    )


def _number(entry: Mapping[str, object], name: str, map_name: str, attribute: str) -> Decimal:
    value = entry.get(attribute)
    if not isinstance(value, Decimal):
        raise wrong_type(f"{map_name}.{name}.{attribute}", "a number")
    return value
