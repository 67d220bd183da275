"""Count sheets beside what is stored."""

from dataclasses import dataclass
from decimal import Decimal

from inventory_updater.intake.comparing import Comparison, Difference, Finding
from inventory_updater.stock.items import ItemKey
from tests.builders import item_attributes, unreadable
from tests.fakes.warehouse import Warehouse


@dataclass(frozen=True)
class Row:
    key: ItemKey
    counted: Decimal | None


def row(sku: str, counted: int | None, location: str = "DC1") -> Row:
    return Row(ItemKey(sku, location), None if counted is None else Decimal(counted))


def test_each_row_is_compared_with_what_is_stored_and_valued(warehouse: Warehouse) -> None:
    eur = {"currency": "EUR"}
    warehouse.put(
        item_attributes(10, sku="same") | eur,
        item_attributes(10, sku="less") | eur,
        item_attributes(10, sku="more", unit_price=None),
        item_attributes(10, sku="skipped") | eur,
        unreadable("broken"),
        item_attributes(10, sku="lacking"),
        item_attributes(10, sku="elsewhere", location_id="DC2"),
    )
    rows = [row("same", 10), row("less", 7), row("more", 12), row("skipped", None), row("broken", 1), row("new", 3)]
    comparison = Comparison(warehouse.services.inventory, lambda: rows)
    before = warehouse.items()

    found = {each.key.sku: (each.finding, each.difference, each.value) for each in comparison.variances()}

    assert found == {
        "same": (Finding.MATCHES, 0, 0),
        "less": (Finding.DIFFERS, -3, Decimal("-7.50")),
        "more": (Finding.DIFFERS, 2, None),
        "skipped": (Finding.NOT_COUNTED, None, None),
        "broken": (Finding.UNREADABLE_ITEM, None, None),
        "new": (Finding.UNKNOWN_ITEM, None, None),
    }
    assert comparison.differences == {
        "EUR": Difference(1, 0, Decimal(0), Decimal("-7.50")),
        "": Difference(1, 1, Decimal(0), Decimal(0)),
    }
    assert comparison.findings.total() == len(rows)
    assert list(comparison.missing()) == [ItemKey("lacking", "DC1")]
    assert warehouse.items() == before


def test_a_sheet_of_several_chunks_comes_back_in_its_order_and_surplus_and_shortage_are_apart(
    warehouse: Warehouse,
) -> None:
    warehouse.put(*(item_attributes(1, sku=f"mug-{number:03}", unit_price=2) for number in range(250)))
    rows = [row(f"mug-{number:03}", number % 3) for number in reversed(range(250))]
    comparison = Comparison(warehouse.services.inventory, lambda: rows)

    assert [each.key for each in comparison.variances()] == [each.key for each in rows]
    (difference,) = comparison.differences.values()
    assert (difference.surplus, difference.shortage, difference.net) == (Decimal(166), Decimal(-168), Decimal(-2))
    assert list(comparison.missing()) == []
