"""Loading: all rows or none, and what another writer does meanwhile is not lost."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.stock.items import ItemKey
from tests.builders import NOW, item_attributes
from tests.fakes.warehouse import Warehouse
from tests.simulation.faults import AnswerLost, Fault

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG, CUP = (ItemKey(sku, "DC1") for sku in ("mug", "cup"))


@dataclass(frozen=True)
class Row:
    key: ItemKey
    on_hand: Decimal
    reserved: Decimal = Decimal(0)
    safety_stock: Decimal = Decimal(0)
    reorder_point: Decimal = Decimal(0)
    unit_price: Decimal | None = Decimal("2.50")
    currency: str | None = "EUR"
    description: str | None = None


def loaded(warehouse: Warehouse, *on_hand: tuple[ItemKey, int], **options: Any) -> int:
    rows = [Row(key, Decimal(number)) for key, number in on_hand]
    services = warehouse.services
    return load_stock(services.dynamodb, services.inventory, lambda: iter(rows), NOW, **options)


def test_stock_is_loaded_with_its_derived_figures(warehouse: Warehouse) -> None:
    assert loaded(warehouse, (MUG, 12), (CUP, 0)) == 2

    mug, cup = warehouse.items()[MUG], warehouse.items()[CUP]
    assert (mug["stock_value"], mug["version"], mug["updated_at"], mug["currency"]) == (30, 1, NOW, "EUR")
    assert (cup["stock_status"], "description" in cup) == ("OUT_OF_STOCK", False)


def test_nothing_is_loaded_where_one_row_is_refused_and_every_refusal_is_told(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes(sku="cup"), item_attributes(sku="jug") | {"on_hand": "many"})
    new, jug = ItemKey("new", "DC1"), ItemKey("jug", "DC1")
    refused: dict[bool, list[str]] = {}

    for replace in (False, True):
        with pytest.raises(RefusedError) as error:
            loaded(warehouse, (new, 1), (CUP, 1), (jug, 1), (new, 2), (MUG, int("1" * 38)), replace=replace)
        refused[replace] = [each.code for each in error.value.refusals]

    assert refused == {
        False: ["ITEM_EXISTS", "ITEM_EXISTS", "TOO_PRECISE", "TWICE"],
        True: ["WRONG_TYPE", "TOO_PRECISE", "TWICE"],
    }
    assert len(warehouse.items()) == 2


def test_replacing_sets_the_columns_and_leaves_the_rest(warehouse: Warehouse) -> None:
    beside = {"decided": {"c1": {"attempt": Decimal(1), "outcome": "APPLIED", "settled_at": NOW}}, "colour": "blue"}
    warehouse.put(item_attributes(5, last_set={"count": ("08:00", "c0")}) | beside | {"description": "Mug"})

    assert loaded(warehouse, (MUG, 7), (CUP, 1), replace=True) == 2

    mug = warehouse.items()[MUG]
    assert (mug["on_hand"], mug["available"], mug["version"], "description" in mug) == (7, 7, 8, False)
    assert (mug["decided"], mug["colour"], mug["last_set"]) == (
        *(beside["decided"], "blue"),
        {"count": {"effective_at": "2026-03-02T08:00:00.000000Z", "change_id": "c0"}},
    )


@pytest.mark.parametrize("replace", [True, False])
def test_an_item_whose_answer_was_lost_is_loaded_once(warehouse: Warehouse, replace: bool) -> None:
    if replace:
        warehouse.put(item_attributes(5))
    warehouse.before_write(AnswerLost)

    assert loaded(warehouse, (MUG, 7), replace=replace) == 1
    assert (warehouse.items()[MUG]["on_hand"], warehouse.items()[MUG]["version"]) == (7, 8 if replace else 1)


def meanwhile(warehouse: Warehouse, **attributes: Any) -> Callable[[], Fault | None]:
    def happens() -> Fault | None:
        warehouse.put(item_attributes(**attributes))
        return None

    return happens


def test_an_item_that_somebody_else_made_meanwhile_is_not_taken_for_a_loaded_one(warehouse: Warehouse) -> None:
    warehouse.before_write(meanwhile(warehouse, on_hand=7, version=1))

    with pytest.raises(UnfinishedError, match="item mug at DC1 is already there"):
        loaded(warehouse, (MUG, 7))


def test_what_another_writer_does_to_an_item_meanwhile_is_decided_again(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes(5, reserved=1))
    warehouse.before_write(meanwhile(warehouse, on_hand=3, reserved=2, version=9))

    assert loaded(warehouse, (MUG, 7), replace=True) == 1

    assert (warehouse.items()[MUG]["on_hand"], warehouse.items()[MUG]["version"]) == (7, 10)
