"""What loading a stock row does to one item: pure, no I/O."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import FIGURE_SET_BY
from inventory_updater.stock.item_states import ItemState
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.writes import Creation, Update

_REMOVABLE: Final = ("unit_price", "currency", "description", "stock_value", "base_unit_price")
"""What a row may leave empty, and what follows from it."""


class TooPreciseError(ValueError):
    """A derived figure would need more than 38 digits."""

    code: Final = "TOO_PRECISE"

    def __init__(self, key: ItemKey) -> None:
        super().__init__(f"item {key}: a derived figure would need more than 38 digits")


def new_item(key: ItemKey, figures: Figures, texts: Mapping[str, str | None], now: str) -> Creation:
    """The write that makes an item with its derived figures.

    Args:
        key: the item.
        figures: the quantities and the price.
        texts: ``currency`` and ``description``, None for absent.
        now: stored time by the clock.

    Raises:
        TooPreciseError: where a derived figure cannot be held exactly.
    """
    wanted = {**_columns(key, figures), **texts, "version": Decimal(1), "updated_at": now}
    return Creation(key, {name: value for name, value in wanted.items() if value is not None})


def replaced_item(
    state: ItemState, attributes: Attributes, figures: Figures, texts: Mapping[str, str | None], now: str
) -> Update:
    """The write that sets the columns of a row in an item that is there, while all that was read of it still holds.

    An open window goes on showing: what the row sets is then what the figure is without it.

    Args:
        state: the item, read from ``attributes``.
        attributes: the item as it was read.
        figures: the quantities and the price of the row.
        texts: ``currency`` and ``description``, None for absent.
        now: stored time by the clock.

    Raises:
        TooPreciseError: where a derived figure cannot be held exactly.
    """
    bases = {f"base_{FIGURE_SET_BY[kind]}": _figure(figures, kind) for kind in state.bases}
    shown = {FIGURE_SET_BY[kind]: _figure(state.item.figures, kind) for kind in state.bases}
    columns = _columns(state.key, replace(figures, **shown))  # type: ignore[arg-type]  # a quantity is never None
    wanted = {**columns, **bases, **texts}
    sets = {name: value for name, value in wanted.items() if value is not None}
    removes = tuple([name for name in _REMOVABLE if name in wanted and wanted[name] is None and name in attributes])
    return Update(state.key, sets | {"version": state.next_version, "updated_at": now}, removes, state.guard)


def _figure(figures: Figures, kind: str) -> Decimal | None:
    figure: Decimal | None = getattr(figures, FIGURE_SET_BY[kind])
    return figure


def _columns(key: ItemKey, figures: Figures) -> dict[str, object]:
    derived = figures.derive_if_exact()
    if derived is None:
        raise TooPreciseError(key)
    return {
        "on_hand": figures.on_hand,
        "reserved": figures.reserved,
        "safety_stock": figures.safety_stock,
        "reorder_point": figures.reorder_point,
        "unit_price": figures.unit_price,
        "available": derived.available,
        "stock_status": derived.stock_status.value,
        "stock_value": derived.stock_value,
    }
