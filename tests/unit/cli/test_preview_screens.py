"""`changes.py preview` and `job.py preview` as people and spreadsheets see them."""

from cli.preview_screens import ITEM_COLUMNS, item_row, judgement_screen
from inventory_updater.intake.previewing import Preview
from inventory_updater.stock.items import InvalidItem, ItemKey
from inventory_updater.stock.judging import Judgement, judgement_document
from tests.builders import change, moment, stocked
from tests.fakes.warehouse import Warehouse
from tests.screens import check_screen

NOW = moment("12:00")
GONE = InvalidItem(ItemKey("TXT-000007", "BATH-SHOP"), "UNKNOWN_ITEM", "there is no item TXT-000007 at BATH-SHOP")


def told(warehouse: Warehouse) -> list[object]:
    """A price that is a hundred times too high, one that is cut, a sale too many, a count that comes late."""
    warehouse.put(
        stocked(change("PRICES-1703", "price", 1703), sku="KIT-000123-WOOL-THROW", unit_price="17.03"),
        stocked(change("PRICES-26", "price", "20.50"), sku="KIT-000200", unit_price="26.87"),
        stocked(change("SO-1", "adjustment", -99), change("SO-2", "adjustment", -10), sku="KIT-000201"),
        stocked(change("SO-3", "adjustment", -2, "10:00"), sku="KIT-000202"),
    )
    warehouse.configure(page_size=1)
    warehouse.run_job()
    late = stocked(change("COUNT-2026-03-02", "count", 7, "09:30"), sku="KIT-000202")
    warehouse.schedule(late.key, *late.changes)
    prices = stocked(change("PRICES-27", "price", "26.87"), sku="KIT-000200")
    warehouse.schedule(prices.key, *prices.changes)
    wrong = stocked(change("PRICES-1804", "price", 1), sku="KIT-000123-WOOL-THROW")
    warehouse.schedule(wrong.key, *wrong.changes)
    sale = stocked(change("SO-4", "adjustment", -1), sku="KIT-000201")
    warehouse.schedule(sale.key, *sale.changes)
    services = warehouse.services
    return [*Preview(services.inventory, services.changes, NOW, NOW).of_job(), GONE]


def judged(warehouse: Warehouse) -> Judgement:
    judgement = Judgement()
    for each in told(warehouse):
        judgement.add(each)  # type: ignore[arg-type]
    return judgement


def test_a_preview_is_judged_by_its_counts_and_by_the_largest(warehouse: Warehouse) -> None:
    judgement = judged(warehouse)
    check_screen("preview", lambda view: judgement_screen(judgement, NOW, view))


def test_the_document_of_a_preview_says_what_the_screen_says(warehouse: Warehouse) -> None:
    judgement = judged(warehouse)
    document = judgement_document(judgement, NOW)
    assert {name: document[name] for name in ("plan_id", "items", "items_changed", "items_invalid", "late_counts")} == {
        "plan_id": judgement.plan_id,
        "items": 4,
        "items_changed": 3,
        "items_invalid": 1,
        "late_counts": 1,
    }
    assert document["rejected_by_code"] == {"INSUFFICIENT_STOCK": 1}


def test_a_row_says_what_an_item_is_and_would_be_and_what_of_its_changes(warehouse: Warehouse) -> None:
    rows = {str(row[0]): dict(zip(ITEM_COLUMNS, row, strict=True)) for row in map(item_row, told(warehouse))}  # type: ignore[arg-type]

    def cells(sku: str, *names: str) -> list[str]:
        return [str(rows[sku][name]) for name in names]

    assert cells("KIT-000202", "on_hand_before", "on_hand_after", "settled", "rejected") == [
        *("8", "5", "COUNT-2026-03-02: APPLIED", "")
    ]
    assert cells("KIT-000201", "on_hand_after", "rejected") == [
        *("0", "SO-4: INSUFFICIENT_STOCK, on hand is 0, the adjustment -1")
    ]
    assert cells(GONE.key.sku, "on_hand_after", "code", "message") == ["None", GONE.code, GONE.message]
