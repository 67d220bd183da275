"""`changes.py list --rejected` and `stock.py show` as people see them."""

from decimal import Decimal

from rich.console import Group, RenderableType

from cli.change_verbs import COLUMNS, OF_A_REJECTED
from cli.output import View, figures_screen, rows_screen
from cli.stock_verbs import FIGURES, changes_screen
from inventory_updater.stock.changes import Change, Rejection
from inventory_updater.stock.items import ItemKey, StockItem, read_item
from tests.builders import change, item_attributes, moment
from tests.screens import check_screen

JOB = "3f1c2b6e-5c84-4a53-9a0e-0c7f6d2f1c9a_9c1f0b1e-7d35-4f53-8b1d-6a1d6ee0a1f2"
MESSAGE = "on hand would fall to -2, and negative stock is not allowed"


def rejection(change_id: str, value: int) -> Rejection:
    return Rejection(
        Change(change_id, "adjustment", Decimal(value), moment("09:30"), "sale", f"order {change_id}"),
        "INSUFFICIENT_STOCK",
        MESSAGE,
        moment("09:35"),
        JOB,
    )


def test_rejected_changes_are_listed_with_whole_ids() -> None:
    keys = (ItemKey("KIT-000123", "LEEDS-DC"), ItemKey("TXT-000007-WOOL-THROW-OCHRE", "BATH-SHOP"))
    ids = {key: f"SO-2026-03-02-{key.sku}" for key in keys}
    listed = [{"change_id": ids[key], **key._asdict(), **rejection(ids[key], -5).to_map()} for key in keys]
    columns = COLUMNS + OF_A_REJECTED
    rows = [[each.get(name) for name in columns] for each in listed]

    check_screen("change-list-rejected", lambda view: rows_screen(columns, rows, view))


def test_an_item_is_shown_with_its_figures_and_what_it_knows_of_its_changes() -> None:
    attributes = item_attributes(
        180,
        sku="KIT-000123",
        location_id="LEEDS-DC",
        pending=[
            change("PO-2026-03-02-000001", "adjustment", 24, "18:30"),
            change("price-list-7", "price", 4, "19:00"),
        ],
        settled={"PO-2026-03-01-000009": ("09:00", "08:55")},
    )
    item = read_item(attributes | {"rejected_changes": {"SO-17": rejection("SO-17", -500).to_map()}})
    assert isinstance(item, StockItem)

    def draw(view: View) -> RenderableType:
        figures = figures_screen(
            [(name, attributes.get(name)) for name in FIGURES], view, "Item KIT-000123 at LEEDS-DC"
        )
        return Group(figures, changes_screen(item, view))

    check_screen("stock-show", draw)
