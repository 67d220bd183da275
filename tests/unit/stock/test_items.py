"""Items as another writer may have left them, and what follows from their figures."""

from decimal import Decimal, DecimalException
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.items import Figures, InvalidItem, ItemKey, StockItem, StockStatus, read_item
from tests.builders import item, item_attributes
from tests.strategies import dynamodb_values, numbers

MUG: Final = ItemKey("mug", "DC1")
NUMBERS: Final = ("on_hand", "reserved", "safety_stock", "reorder_point", "unit_price", "available", "stock_value")
TYPES: Final[dict[str, tuple[type, str]]] = {
    **dict.fromkeys(NUMBERS, (Decimal, "a number")),
    "stock_status": (str, "text"),
}


# Derived figures


def test_an_item_is_low_at_its_reorder_point_and_out_of_stock_at_nothing_available() -> None:
    plenty, low, out = StockStatus.IN_STOCK, StockStatus.LOW_STOCK, StockStatus.OUT_OF_STOCK
    expected: dict[int, tuple[object, StockStatus]]
    expected = {14: (9, plenty), 13: (8, low), 6: (1, low), 5: (0, out), 1: (-4, out)}
    derived = {n: Figures(Decimal(n), Decimal(3), Decimal(2), reorder_point=Decimal(8)).derive() for n in expected}

    assert {n: (each.available, each.stock_status) for n, each in derived.items()} == expected
    assert {each.stock_value for each in derived.values()} == {None}


@given(numbers, numbers, numbers)
@example(Decimal(0), Decimal(0), Decimal("1.2345678901234567890123456789012345678E-130"))
@example(Decimal("0E-100"), Decimal(0), Decimal("0E-100"))
def test_derived_figures_are_exact_or_raise_and_dynamodb_can_hold_them(
    on_hand: Decimal, reserved: Decimal, unit_price: Decimal
) -> None:
    try:
        derived = Figures(on_hand, reserved, unit_price=unit_price).derive()
    except DecimalException:
        return

    for figure in (derived.available, derived.stock_value):
        assert from_attribute_values({"figure": to_attribute_value(figure)}) == {"figure": figure}


def test_the_stock_value_is_exact_and_that_of_nothing_is_0_without_a_sign() -> None:
    value = Figures(Decimal("3.3"), unit_price=Decimal("0.1")).derive().stock_value
    of_nothing = Figures(Decimal(0), unit_price=Decimal(-2)).derive().stock_value

    assert (str(value), str(of_nothing)) == ("0.33", "0")


# Items


def test_an_item_is_read_with_its_figures() -> None:
    attributes = item_attributes(12, reserved=2, safety_stock=1, reorder_point=4)

    read = read_item(attributes)

    assert isinstance(read, StockItem)
    assert read.key == MUG
    assert read.figures == Figures(Decimal(12), Decimal(2), Decimal(1), Decimal(4), Decimal("2.50"))
    assert (read.available, read.stock_status, read.stock_value) == (Decimal(9), "IN_STOCK", Decimal(30))


def test_on_hand_is_all_that_an_item_needs() -> None:
    assert read_item({"sku": "mug", "location_id": "DC1", "on_hand": Decimal(3)}) == StockItem(MUG, Decimal(3))
    assert read_item(item_attributes(None)) == InvalidItem(MUG, "MISSING_QUANTITY", "on_hand is missing")


@given(st.sampled_from(list(TYPES)), dynamodb_values)
def test_every_attribute_is_of_its_type_or_the_item_is_invalid(name: str, value: object) -> None:
    kind, wanted = TYPES[name]
    read = read_item(item_attributes() | {name: value})

    if isinstance(value, kind):
        assert isinstance(read, StockItem)
        assert getattr(read, name, value) == value
    else:
        assert read == InvalidItem(MUG, "WRONG_TYPE", f"{name} is not {wanted}")


@given(st.dictionaries(st.sampled_from(list(TYPES)), dynamodb_values))
def test_whatever_dynamodb_can_hold_is_read_or_invalid_but_never_an_error(spoilt: dict[str, object]) -> None:
    read = read_item(from_attribute_values(to_attribute_values(item_attributes() | spoilt)))

    assert read.key == MUG
    if isinstance(read, InvalidItem):
        assert read.code == "WRONG_TYPE"
        assert any(read.message.startswith(name) for name in spoilt)


@given(st.sampled_from(["description", "currency", "colour", "on-hand"]), dynamodb_values)
def test_attributes_that_planning_does_not_know_are_ignored(name: str, value: object) -> None:
    assert read_item(item_attributes() | {name: value}) == item()
