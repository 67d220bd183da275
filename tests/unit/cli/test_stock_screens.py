"""`stock.py show SKU`, `totals` and `variance` as people see them."""

from decimal import Decimal

from cli.output import View, text_of
from cli.stock_screens import places_screen, stale_sentence, totals_screen, variance_screen
from inventory_updater.intake.comparing import Comparison, variance_of
from inventory_updater.intake.text_rows import CountRow
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.levels import Level, item_document, read_level, totals
from tests.builders import item_attributes
from tests.fakes.warehouse import Warehouse
from tests.screens import check_screen

MUG = "KIT-000123"


def mug(location_id: str, on_hand: int, **more: object) -> dict[str, object]:
    attributes = item_attributes(on_hand, sku=MUG, location_id=location_id, reserved=2, reorder_point=10)
    return attributes | {"currency": "GBP", "description": "Stoneware mug, 350 ml, speckled blue, with a lid"} | more


STOCK = (
    mug("LEEDS-DC", 180),
    mug("BATH-SHOP", 9, currency="EUR"),
    mug("YORK-SHOP", 2),
    mug("HULL-SHOP", 4, reserved="x"),
)


def test_an_item_is_shown_at_each_of_its_locations() -> None:
    documents = [item_document(each) for each in STOCK]
    check_screen("stock-show-places", lambda view: places_screen(MUG, documents, view))


def test_the_stock_is_added_up() -> None:
    levels = [level for each in STOCK if isinstance(level := read_level(each), Level)]
    check_screen("stock-totals", lambda view: totals_screen(*totals(levels), view))


def test_a_count_sheet_is_told_with_what_differs_most_first(warehouse: Warehouse) -> None:
    warehouse.put(*STOCK)
    counted = {"LEEDS-DC": 171, "BATH-SHOP": 9, "YORK-SHOP": 5, "HULL-SHOP": 4, "WELLS-SHOP": 1}
    rows = [CountRow(2, ItemKey(MUG, location), Decimal(number)) for location, number in counted.items()]
    comparison = Comparison(warehouse.services.inventory, lambda: rows)
    found = sorted(comparison.variances(), key=lambda each: each.weight, reverse=True)
    worst = [each for each in found if each.finding != "MATCHES"]

    check_screen("stock-variance", lambda view: variance_screen(comparison, worst, 3, view, "sheet.csv"))
    few = text_of(variance_screen(comparison, worst[:1], 3, View(), "sheet.csv"), View())
    assert "3 more: --csv has all rows" in few


def test_what_is_stored_stale_is_said_of_one_item_and_counted_of_several() -> None:
    stale = item_document(mug("LEEDS-DC", 180, available=Decimal(1), stock_status="LOW_STOCK"))
    assert (stale["available"], stale["stock_status"]) == (178, "IN_STOCK")
    assert stale_sentence([item_document(STOCK[0])]) is None
    assert stale_sentence([stale]) == (
        "stored otherwise than it follows from the figures: available 1, stock_status LOW_STOCK; "
        "a job over all items repairs that"
    )
    assert stale_sentence([stale, stale]) == (
        "stored derived figures of 2 items are stale: a job over all items repairs that"
    )


def test_an_item_without_exact_derived_figures_is_shown_as_it_is_stored() -> None:
    too_long = item_document(mug("LEEDS-DC", int("1" * 38), unit_price=Decimal("1.01"), available=Decimal(7)))
    assert (too_long["available"], too_long["stale"]) == (7, {})
    assert too_long["problem"] == "a derived figure would need more than 38 digits"
    assert variance_of(CountRow(2, ItemKey(MUG, "X"), None), too_long).finding == "UNREADABLE_ITEM"
