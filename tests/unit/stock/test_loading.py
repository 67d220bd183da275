"""What loading a row does to one item."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from inventory_updater.stock.item_states import GUARDED, ItemState, read_state
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.stock.loading import Columns, TooPreciseError, differences, new_item, replaced_item
from inventory_updater.stock.writes import Update
from tests.builders import NOW, item_attributes, moment

MUG = ItemKey("mug", "DC1")
NO_TEXTS = {"currency": None, "description": None}


def read(attributes: Mapping[str, object]) -> ItemState:
    state = read_state(attributes)
    assert isinstance(state, ItemState)
    return state


def replaced(attributes: Mapping[str, object], **columns: Decimal | str | None) -> Update | None:
    return replaced_item(read(attributes), attributes, columns, NOW)


OFFER = item_attributes(10, unit_price=2) | {
    "windows": {"offer": {"kind": "price", "value": Decimal(2), "from": moment("08:00"), "until": moment("20:00")}},
    "base_unit_price": Decimal(3),
}


def test_an_open_window_goes_on_showing_and_the_row_sets_what_is_without_it() -> None:
    dearer = replaced(OFFER, on_hand=Decimal(4), unit_price=Decimal(5))
    without = replaced(OFFER, on_hand=Decimal(4), unit_price=None)
    recounted = replaced(OFFER, on_hand=Decimal(4))

    assert dearer is not None
    assert without is not None
    assert recounted is not None
    assert (dearer.sets["base_unit_price"], dearer.sets["stock_value"]) == (5, 8)
    assert without.removes == ("base_unit_price",)
    assert not {"unit_price", "base_unit_price"} & {*dearer.removes, *without.sets, *recounted.sets, *recounted.removes}


def test_only_the_columns_that_are_named_are_set_and_what_follows_from_them() -> None:
    attributes = item_attributes(10, reserved=2, unit_price=3) | {"currency": "EUR", "description": "Mug"}

    write = replaced(attributes, on_hand=Decimal(4), currency=None, reorder_point=None)

    assert write is not None
    assert write.sets == {
        "on_hand": 4,
        "reorder_point": 0,
        "available": 2,
        "stock_status": "IN_STOCK",
        "stock_value": 12,
        "version": 8,
        "updated_at": NOW,
    }
    assert write.removes == ("currency",)


def test_a_row_that_an_item_follows_already_writes_nothing_unless_what_is_derived_is_stale() -> None:
    same = {"on_hand": Decimal(10), "unit_price": Decimal("2.50"), "description": None}
    assert replaced(item_attributes(10), **same) is None
    assert replaced(item_attributes(10, available=9), **same) is not None


def test_a_row_is_written_while_every_figure_that_was_read_holds() -> None:
    attributes = item_attributes(10, unit_price=None)

    write = replaced(attributes, on_hand=Decimal(4))

    assert write is not None
    assert write.guard == {name: attributes.get(name) for name in (*GUARDED, "version")}
    assert (write.sets["version"], write.sets["updated_at"]) == (8, NOW)


def test_what_differs_from_a_new_item_is_named_and_an_absent_quantity_is_zero() -> None:
    attributes = item_attributes(10, reserved=None) | {"currency": "EUR"}
    same: Columns = {"on_hand": Decimal(10), "unit_price": Decimal("2.5"), "currency": "EUR"}

    assert differences(read(attributes), attributes, same) == []
    assert differences(read(attributes), attributes, {**same, "reserved": Decimal(0)}) == []
    other: Columns = {"on_hand": Decimal(9), "reserved": Decimal(1), "description": "Mug"}
    named = ["on_hand (10)", "reserved (0)", "unit_price (2.50)", "currency", "description"]
    assert differences(read(attributes), attributes, other) == named
    assert differences(read(OFFER), OFFER, {"on_hand": Decimal(10), "unit_price": Decimal(3)}) == []


def test_a_row_whose_value_cannot_be_held_exactly_is_refused() -> None:
    figures = Figures(Decimal("1" * 38), unit_price=Decimal("1.01"))
    with pytest.raises(TooPreciseError, match=r"^item mug at DC1: a derived figure would need more than 38 digits$"):
        new_item(MUG, figures, NO_TEXTS, NOW)
