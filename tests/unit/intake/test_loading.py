"""Loading: all rows or none, and what another writer does meanwhile is not lost."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from inventory_updater.intake.loading import Loaded, LoadInterrupted, load_stock
from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.stock.items import ItemKey
from tests.builders import NOW, change, item_attributes, moment
from tests.fakes.warehouse import Warehouse
from tests.simulation.faults import AnswerLost, Fault

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG, CUP = (ItemKey(sku, "DC1") for sku in ("mug", "cup"))


@dataclass(frozen=True)
class Row:
    key: ItemKey
    on_hand: Decimal | None
    reserved: Decimal | None = None
    safety_stock: Decimal | None = None
    reorder_point: Decimal | None = None
    unit_price: Decimal | None = Decimal("2.50")
    currency: str | None = "EUR"
    description: str | None = None


def loaded(warehouse: Warehouse, *on_hand: tuple[ItemKey, int], **options: Any) -> Loaded:
    rows = [Row(key, Decimal(number)) for key, number in on_hand]
    services = warehouse.services
    return load_stock(services.dynamodb, services.inventory, lambda: iter(rows), NOW, **options)


def test_stock_is_loaded_with_its_derived_figures(warehouse: Warehouse) -> None:
    assert loaded(warehouse, (MUG, 12), (CUP, 0)) == Loaded(made=2)

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

    assert loaded(warehouse, (MUG, 7), (CUP, 1), replace=True) == Loaded(made=1, replaced=1)

    mug = warehouse.items()[MUG]
    assert (mug["on_hand"], mug["available"], mug["version"], mug["description"]) == (7, 7, 8, "Mug")
    assert (mug["decided"], mug["colour"], mug["last_set"]) == (
        *(beside["decided"], "blue"),
        {"count": {"effective_at": "2026-03-02T08:00:00.000000Z", "change_id": "c0"}},
    )


@pytest.mark.parametrize("replace", [True, False])
def test_an_item_whose_answer_was_lost_is_loaded_once(warehouse: Warehouse, replace: bool) -> None:
    if replace:
        warehouse.put(item_attributes(5))
    warehouse.before_write(AnswerLost)

    assert loaded(warehouse, (MUG, 7), replace=replace) == (Loaded(replaced=1) if replace else Loaded(made=1))
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

    assert loaded(warehouse, (MUG, 7), replace=True) == Loaded(replaced=1)

    assert (warehouse.items()[MUG]["on_hand"], warehouse.items()[MUG]["version"]) == (7, 10)


def test_a_row_that_says_less_leaves_the_rest_and_clearing_empties_it(warehouse: Warehouse) -> None:
    stored = item_attributes(5, reserved=2, unit_price=3) | {"currency": "EUR", "description": "Mug"}
    services, row = warehouse.services, Row(MUG, Decimal(7), unit_price=None, currency=None)
    found = {}

    for clear in ((), ("reserved", "unit_price", "description")):
        warehouse.put(stored)
        load_stock(services.dynamodb, services.inventory, lambda: [row], NOW, replace=True, clear=clear)
        found[clear] = warehouse.items()[MUG]

    names = ("on_hand", "reserved", "unit_price", "currency", "description", "available", "stock_value")
    kept, cleared = ([item.get(name) for name in names] for item in found.values())
    assert kept == [7, 2, 3, "EUR", "Mug", 5, 21]
    assert cleared == [7, 0, None, "EUR", None, 7, None]


def test_a_new_item_needs_a_quantity(warehouse: Warehouse) -> None:
    services = warehouse.services
    with pytest.raises(RefusedError, match="item mug at DC1 is not there, and a new one needs an on_hand"):
        load_stock(services.dynamodb, services.inventory, lambda: [Row(MUG, None)], NOW, replace=True)


def test_a_load_that_was_broken_off_goes_on_and_only_what_differs_is_refused(warehouse: Warehouse) -> None:
    loaded(warehouse, (MUG, 7))

    assert loaded(warehouse, (MUG, 7), (CUP, 1)) == Loaded(made=1, known=1)
    assert loaded(warehouse, (MUG, 7), (CUP, 1)) == Loaded(known=2)
    assert warehouse.items()[MUG]["version"] == 1
    with pytest.raises(RefusedError) as error:
        loaded(warehouse, (MUG, 7), (CUP, 2))
    (refusal,) = error.value.refusals
    assert refusal.code == "ITEM_EXISTS"
    assert (
        refusal.message == "item cup at DC1 is already there with another on_hand (1); --replace sets what the file has"
    )


def test_what_is_there_as_the_row_says_is_not_replaced(warehouse: Warehouse) -> None:
    loaded(warehouse, (MUG, 7), (CUP, 1))

    assert loaded(warehouse, (MUG, 7), (CUP, 2), replace=True) == Loaded(replaced=1, known=1)
    assert warehouse.items()[MUG]["version"] == 1


def test_an_item_that_was_made_as_the_row_says_meanwhile_is_known(warehouse: Warehouse) -> None:
    def happens() -> None:
        services = warehouse.services
        load_stock(services.dynamodb, services.inventory, lambda: [Row(MUG, Decimal(7))], moment("12:00"))

    warehouse.before_write(happens)
    assert loaded(warehouse, (MUG, 7)) == Loaded(known=1)


def test_it_is_told_for_how_many_of_the_items_changes_wait(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes(sku="mug"), item_attributes(sku="pot"))
    warehouse.schedule(MUG, change("late", at="09:00"), change("future", at="23:00"))
    warehouse.schedule(ItemKey("pot", "DC1"), change("other"))

    report = loaded(warehouse, (MUG, 7), (CUP, 1), replace=True, changes=warehouse.services.changes)

    assert report == Loaded(made=1, replaced=1, waiting=1)


def test_an_interruption_says_how_many_items_are_written_and_the_same_again_goes_on(warehouse: Warehouse) -> None:
    keys = [ItemKey(f"mug-{number:03}", "DC1") for number in range(600)]

    def stop(phase: str, done: int) -> None:
        # After 600 rows at the end of their pass, all of which are on their way.
        if phase == "writing" and done == 600:
            raise KeyboardInterrupt

    with pytest.raises(LoadInterrupted) as stopped:
        loaded(warehouse, *((key, 1) for key in keys), progress=stop)

    written = len(warehouse.items())
    assert stopped.value.loaded == Loaded(made=written)
    assert str(stopped.value) == f"{written} items written, the same again goes on"
    assert loaded(warehouse, *((key, 1) for key in keys)) == Loaded(made=600 - written, known=written)
