"""Levels: what follows from an item's figures, whatever is stored of it."""

from decimal import Decimal

from inventory_updater.stock.items import InvalidItem
from inventory_updater.stock.levels import Level, Total, read_level, totals
from tests.builders import item_attributes, moment

OFFER = {
    "windows": {"offer": {"kind": "price", "value": Decimal(2), "from": moment("08:00"), "until": moment("20:00")}},
    "base_unit_price": Decimal(3),
}


def level(attributes: dict[str, object], *, shown: bool = False) -> Level:
    read = read_level(attributes, shown=shown)
    assert isinstance(read, Level), read
    return read


def test_derived_figures_follow_from_the_others_and_what_is_stored_otherwise_is_stale() -> None:
    right = level(item_attributes(10, reserved=4))
    assert (right.derived.available, right.derived.stock_value, right.is_stale) == (Decimal(6), Decimal(25), False)
    wrongs = {"available": 99, "stock_status": "LOW_STOCK", "stock_value": None}
    for name, wrong in wrongs.items():
        stale = level(item_attributes(10, reserved=4, **{name: wrong}))  # type: ignore[arg-type]  # by their names
        assert (name, stale.derived, stale.is_stale) == (name, right.derived, True)


def test_a_figure_with_an_open_window_is_what_it_is_without_it_unless_what_shows_is_asked_for() -> None:
    attributes = item_attributes(10, unit_price=2) | OFFER
    without, shown = level(attributes), level(attributes, shown=True)
    assert (without.figures.unit_price, without.derived.stock_value, without.has_window) == (
        Decimal(3),
        Decimal(30),
        True,
    )
    assert (shown.figures.unit_price, shown.derived.stock_value) == (Decimal(2), Decimal(20))
    assert not without.is_stale
    assert not shown.is_stale


def test_an_item_that_cannot_be_read_is_named_with_what_is_wrong() -> None:
    broken: dict[str, dict[str, object]] = {
        "on_hand is not a number": item_attributes() | {"on_hand": "many"},
        "currency is not text": item_attributes() | {"currency": Decimal(1)},
        "windows is not a map": item_attributes() | {"windows": "open"},
        "a derived figure would need more than 38 digits": item_attributes("1" * 38, unit_price="1.01"),
    }
    read = {said: read_level(attributes) for said, attributes in broken.items()}
    assert {said: isinstance(each, InvalidItem) and each.message for said, each in read.items()} == {
        said: said for said in broken
    }


def test_levels_are_added_up_exactly_by_currency_and_location() -> None:
    found = [
        level(item_attributes("1E+30", sku="a", location_id="BATH") | {"currency": "EUR"}),
        level(
            item_attributes("1E-7", sku="b", location_id="BATH", unit_price=1, reorder_point=1) | {"currency": "EUR"}
        ),
        level(item_attributes(0, sku="c", location_id="BATH", reserved=1, unit_price=None)),
        level(item_attributes(4, sku="d", location_id="YORK") | {"currency": "EUR"}),
    ]

    by_place, by_currency = totals(found)

    assert list(by_place) == [("", "BATH"), ("EUR", "BATH"), ("EUR", "YORK")]
    exact = Decimal("1000000000000000000000000000000.0000001")
    value = Decimal("2500000000000000000000000000000.0000001")
    assert by_place["EUR", "BATH"] == Total(2, 0, 0, 1, exact, Decimal(0), exact, value)
    assert by_currency[""] == Total(1, 1, 1, 0, Decimal(0), Decimal(1), Decimal(-1), Decimal(0))
    assert by_currency["EUR"].items == 3
    assert by_currency["EUR"].on_hand == Decimal("1000000000000000000000000000004.0000001")
