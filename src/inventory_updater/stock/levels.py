"""What is in stock by the figures of an item, whatever is stored of what follows from them: pure, no I/O."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from inventory_updater.stock.attributes import Attributes, UnreadableAttributeError, text_at
from inventory_updater.stock.changes import FIGURE_SET_BY
from inventory_updater.stock.item_states import read_state
from inventory_updater.stock.items import (
    DerivedFigures,
    Figures,
    InvalidItem,
    ItemKey,
    StockItem,
    StockStatus,
    read_item,
)
from inventory_updater.stock.numbers import EXACT, ZERO


@dataclass(frozen=True, slots=True)
class Level:
    """An item as an export has it.

    Attributes:
        figures: what a stock file would set: of a figure with an open window, what it is without it.
        derived: what follows from ``figures``.
        is_stale: whether the stored derived figures do not follow from what the item shows.
        has_window: whether a window is open, so that the item shows something else.
    """

    key: ItemKey
    figures: Figures
    derived: DerivedFigures
    currency: str | None
    description: str | None
    is_stale: bool
    has_window: bool


def read_level(attributes: Attributes, *, shown: bool = False) -> Level | InvalidItem:
    """The level of an item, or why there is none; with ``shown``, of what it shows under its open windows."""
    item = read_item(attributes)
    if isinstance(item, InvalidItem):
        return item
    bases: Mapping[str, Decimal | None] = {}
    if attributes.get("windows"):
        state = read_state(attributes)
        if isinstance(state, InvalidItem):
            return state
        bases = {FIGURE_SET_BY[kind]: base for kind, base in state.bases.items()}
    try:
        currency, description = text_at(attributes, "currency"), text_at(attributes, "description")
    except UnreadableAttributeError as error:
        return InvalidItem(item.key, error.code, str(error))
    shows = item.figures
    without = {name: base if name == "unit_price" else base or ZERO for name, base in bases.items()}
    figures = replace(shows, **without) if bases and not shown else shows  # type: ignore[arg-type]  # by their names
    derived = figures.derive_if_exact()
    if derived is None:
        return InvalidItem(item.key, "TOO_PRECISE", "a derived figure would need more than 38 digits")
    is_stale = bool(stale_figures(item, derived if figures is shows else shows.derive_if_exact()))
    return Level(item.key, figures, derived, currency, description, is_stale, bool(bases))


def stale_figures(item: StockItem, derived: DerivedFigures | None) -> tuple[str, ...]:
    """Which derived figures of an item are not stored as they follow from what it shows."""
    if derived is None:
        return ()
    wanted = (derived.available, derived.stock_status.value, derived.stock_value)
    stored = (item.available, item.stock_status, item.stock_value)
    names = ("available", "stock_status", "stock_value")
    return tuple([name for name, one, other in zip(names, wanted, stored, strict=True) if one != other])


def item_document(attributes: Attributes) -> dict[str, object]:
    """An item as it is, what follows from its figures as it follows.

    ``stale`` has what is stored instead of that, and ``problem`` why the item cannot be read.
    """
    item = read_item(attributes)
    document: dict[str, object] = {**attributes, "stale": {}, "problem": None}
    if isinstance(item, InvalidItem):
        return document | {"problem": item.message}
    derived = item.figures.derive_if_exact()
    if derived is None:
        return document | {"problem": "a derived figure would need more than 38 digits"}
    stale = {name: attributes.get(name) for name in stale_figures(item, derived)}
    return {**document, **asdict(derived), "stale": stale}


@dataclass(slots=True)
class Total:
    """What levels come to.

    Attributes:
        unpriced: how many of the items have no price, and so no value.
    """

    items: int = 0
    unpriced: int = 0
    out_of_stock: int = 0
    low_stock: int = 0
    on_hand: Decimal = ZERO
    reserved: Decimal = ZERO
    available: Decimal = ZERO
    stock_value: Decimal = ZERO

    def add(self, level: Level) -> None:
        self.items += 1
        self.unpriced += level.derived.stock_value is None
        self.out_of_stock += level.derived.stock_status is StockStatus.OUT_OF_STOCK
        self.low_stock += level.derived.stock_status is StockStatus.LOW_STOCK
        self.on_hand = EXACT.add(self.on_hand, level.figures.on_hand)
        self.reserved = EXACT.add(self.reserved, level.figures.reserved)
        self.available = EXACT.add(self.available, level.derived.available)
        self.stock_value = EXACT.add(self.stock_value, level.derived.stock_value or ZERO)


def totals(levels: Iterable[Level]) -> tuple[dict[tuple[str, str], Total], dict[str, Total]]:
    """What levels come to by currency and location, and by currency, sorted; no currency is an empty text."""
    by_place: dict[tuple[str, str], Total] = {}
    by_currency: dict[str, Total] = {}
    for level in levels:
        currency = level.currency or ""
        by_place.setdefault((currency, level.key.location_id), Total()).add(level)
        by_currency.setdefault(currency, Total()).add(level)
    return dict(sorted(by_place.items())), dict(sorted(by_currency.items()))
