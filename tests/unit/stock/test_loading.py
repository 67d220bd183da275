"""What loading a row does to one item."""

from decimal import Decimal

import pytest

from inventory_updater.stock.item_states import GUARDED, ItemState, read_state
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.loading import TooPreciseError, new_item, replaced_item
from tests.builders import NOW, item_attributes, moment

MUG = ItemKey("mug", "DC1")
NO_TEXTS = {"currency": None, "description": None}


def test_an_open_window_goes_on_showing_and_the_row_sets_what_is_without_it() -> None:
    window = {"kind": "price", "value": Decimal(2), "from": moment("08:00"), "until": moment("20:00")}
    attributes = item_attributes(10, unit_price=2) | {"windows": {"offer": window}, "base_unit_price": Decimal(3)}
    state = read_state(attributes)
    assert isinstance(state, ItemState)

    dearer = replaced_item(state, attributes, Figures(Decimal(4), unit_price=Decimal(5)), NO_TEXTS, NOW)
    without = replaced_item(state, attributes, Figures(Decimal(4)), NO_TEXTS, NOW)

    assert (dearer.sets["unit_price"], dearer.sets["base_unit_price"], dearer.sets["stock_value"]) == (2, 5, 8)
    assert (without.sets["unit_price"], without.removes) == (2, ("base_unit_price",))


def test_a_row_is_written_while_every_figure_that_was_read_holds() -> None:
    attributes = item_attributes(10, unit_price=None)
    state = read_state(attributes)
    assert isinstance(state, ItemState)

    write = replaced_item(state, attributes, Figures(Decimal(4)), NO_TEXTS, NOW)

    assert write.guard == {name: attributes.get(name) for name in (*GUARDED, "version")}
    assert (write.sets["version"], write.sets["updated_at"]) == (8, NOW)


def test_a_row_whose_value_cannot_be_held_exactly_is_refused() -> None:
    figures = Figures(Decimal("1" * 38), unit_price=Decimal("1.01"))
    with pytest.raises(TooPreciseError, match=r"^item mug at DC1: a derived figure would need more than 38 digits$"):
        new_item(MUG, figures, NO_TEXTS, NOW)
