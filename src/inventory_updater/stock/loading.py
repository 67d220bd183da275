"""What loading a stock row does to one item: pure, no I/O."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Final

from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import FIGURE_SET_BY
from inventory_updater.stock.item_states import ItemState
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.numbers import ZERO, plain
from inventory_updater.stock.writes import Creation, Update

Columns = Mapping[str, Decimal | str | None]
"""Columns of a stock file, and what they are to be; None is empty."""

QUANTITIES: Final = ("reserved", "safety_stock", "reorder_point")
TEXTS: Final = ("currency", "description")
CLEARABLE: Final = (*QUANTITIES, "unit_price", *TEXTS)
"""What may be emptied: a quantity becomes 0, the rest is absent then."""

_FIGURES: Final = ("on_hand", *QUANTITIES, "unit_price")


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
    columns = {name: getattr(figures, name) for name in _FIGURES}
    wanted = {**columns, **_derived(key, figures), **texts, "version": Decimal(1), "updated_at": now}
    return Creation(key, {name: value for name, value in wanted.items() if value is not None})


def replaced_item(state: ItemState, attributes: Attributes, columns: Columns, now: str) -> Update | None:
    """The write that sets columns in an item that is there, while all that was read of it still holds.

    An open window goes on showing: what a row sets is then what the figure is without it.

    Args:
        state: the item, read from ``attributes``.
        attributes: the item as it was read.
        columns: those that are to be set, each as it is to be; the others stay.
        now: stored time by the clock.

    Returns:
        None where all of it is so already.

    Raises:
        TooPreciseError: where a derived figure cannot be held exactly.
    """
    covered = {FIGURE_SET_BY[kind] for kind in state.bases}
    wanted: dict[str, object] = {
        f"base_{name}" if name in covered else name: ZERO if value is None and name in QUANTITIES else value
        for name, value in columns.items()
    }
    shown = {name: wanted[name] for name in _FIGURES if name in wanted}
    wanted |= _derived(state.key, replace(state.item.figures, **shown))  # type: ignore[arg-type]  # by their names
    if all(attributes.get(name) == value for name, value in wanted.items()):
        return None
    sets = {name: value for name, value in wanted.items() if value is not None}
    removes = tuple([name for name in wanted if name not in sets and name in attributes])
    return Update(state.key, sets | {"version": state.next_version, "updated_at": now}, removes, state.guard)


def differences(state: ItemState, attributes: Attributes, columns: Columns) -> list[str]:
    """In what an item differs from what a new one with these columns would be: none if it is the same.

    A quantity that is absent is 0, and of a figure with an open window counts what it is without it.
    """
    bases = {FIGURE_SET_BY[kind]: base for kind, base in state.bases.items()}
    differ = []
    for name in ("on_hand", *CLEARABLE):
        absent = ZERO if name in QUANTITIES else None
        stored: object = bases[name] if name in bases else attributes.get(name)
        found, wanted = (absent if value is None else value for value in (stored, columns.get(name)))
        if found != wanted:
            differ.append(f"{name} ({plain(found)})" if isinstance(found, Decimal) else name)
    return differ


def _derived(key: ItemKey, figures: Figures) -> dict[str, object]:
    derived = figures.derive_if_exact()
    if derived is None:
        raise TooPreciseError(key)
    return {
        "available": derived.available,
        "stock_status": derived.stock_status.value,
        "stock_value": derived.stock_value,
    }
