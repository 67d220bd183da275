"""Undoing: what was applied is taken back once, what others have done since stays."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_updater.dynamodb.values import to_attribute_values
from inventory_updater.intake.undoing import Undone, undo_changes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.undoing import undo_id
from inventory_updater.tables.protocol import Protocol
from tests.builders import change, stocked
from tests.fakes.warehouse import MUG, Warehouse

FIGURES = ("on_hand", "unit_price", "reorder_point", "safety_stock", "available", "stock_value")
HOURS = st.integers(0, 11).map(lambda hour: f"{hour:02}:00")
SETTINGS = st.sampled_from(["price", "reorder_point", "safety_stock"])
CHANGES = st.one_of(
    st.builds(change, st.just(""), st.just("adjustment"), st.integers(-9, 9), HOURS),
    st.builds(change, st.just(""), st.just("count"), st.integers(90, 110), HOURS, expected=st.none() | st.just(100)),
    st.builds(
        change, st.just(""), st.sampled_from(["price", "reorder_point", "safety_stock"]), st.integers(1, 9), HOURS
    ),
)
DAYS = st.lists(CHANGES, max_size=12).map(
    lambda changes: [replace(each, change_id=f"c{number:02}") for number, each in enumerate(changes)]
)


def mug(*changes: Change) -> object:
    return stocked(*changes, on_hand=100, unit_price=5, reorder_point=3, safety_stock=2)


def undo(warehouse: Warehouse, change_ids: Iterable[str], *, is_written: bool = True) -> dict[str, Undone]:
    services = warehouse.services
    protocol = Protocol(services.dynamodb, services.inventory, services.changes, {"cancelled_by": "ann"})
    names = [(MUG, each) for each in change_ids]
    done = undo_changes(protocol, names, services.now, is_written=is_written)
    return {each.name[1]: each for each in done}


def figures(warehouse: Warehouse, key: ItemKey = MUG) -> list[object]:
    item = warehouse.items()[key]
    return [item[name] for name in FIGURES]


def job(warehouse: Warehouse, name: str) -> None:
    warehouse.clock.goes_on(1)
    warehouse.run_job(name)


def sold_by_others(warehouse: Warehouse, quantity: int) -> None:
    item = dict(warehouse.items()[MUG])
    item["on_hand"] = Decimal(str(item["on_hand"])) - quantity
    warehouse.dynamodb.client.put_item(TableName=warehouse.tables.inventory, Item=to_attribute_values(item))


@settings(max_examples=20)
@given(early=DAYS, late=DAYS, sold=st.integers(0, 5))
def test_what_is_undone_leaves_what_was_there_before_and_what_others_sold(
    early: list[Change], late: list[Change], sold: int
) -> None:
    warehouse = Warehouse()
    warehouse.configure(page_size=100)
    warehouse.put(mug())  # type: ignore[arg-type]
    job(warehouse, "job-0")
    opening = figures(warehouse)
    warehouse.schedule(MUG, *early)
    job(warehouse, "job-1")
    later = [replace(each, change_id=f"late-{each.change_id}") for each in late]
    warehouse.schedule(MUG, *later)
    job(warehouse, "job-2")
    sold_by_others(warehouse, sold)
    applied = figures(warehouse)
    wanted = [each.change_id for each in (*early, *later)]

    undone = undo(warehouse, wanted)

    left = {name: each.status for name, each in undone.items() if each.status != "SCHEDULED"}
    assert set(left.values()) <= {"NO_EFFECT", "SUPERSEDED"}
    job(warehouse, "job-3")
    assert figures(warehouse)[:4] == [Decimal(str(opening[0])) - sold, *opening[1:4]]
    again = undo(warehouse, wanted)
    assert {each.status for name, each in again.items() if name not in left} <= {"UNDONE"}
    before = figures(warehouse)
    job(warehouse, "job-4")
    assert figures(warehouse) == before
    undo(warehouse, [undo_id(name) for name in wanted if name not in left])
    job(warehouse, "job-5")
    assert figures(warehouse)[:4] == applied[:4]


def test_what_cannot_be_undone_is_left_and_said(warehouse: Warehouse) -> None:
    warehouse.put(
        mug(
            change("sold", value=-1),
            change("counted", "count", 90, "10:00"),
            change("first", "price", 7),
            change("too-many", value=-999),
            change("later", at="19:00"),
        )  # type: ignore[arg-type]
    )
    warehouse.run_job("job-1")
    warehouse.schedule(MUG, change("second", "price", 8, "11:00"))
    warehouse.run_job("job-2")

    planned = undo(warehouse, ["sold", "first", "too-many", "later", "never"], is_written=False)

    assert {name: each.status for name, each in planned.items()} == {
        "sold": "COUNTED",
        "first": "SET_SINCE",
        "too-many": "REJECTED",
        "later": "PENDING",
        "never": "UNKNOWN",
    }
    assert all(each.message for each in planned.values())
    assert undo_id("sold") not in warehouse.statuses()


def test_a_window_that_is_open_ends_at_once(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("sale", "price", 4, until="19:00")))  # type: ignore[arg-type]
    warehouse.run_job("job-1")
    assert warehouse.items()[MUG]["unit_price"] == 4

    assert undo(warehouse, ["sale"], is_written=False)["sale"].status == "WINDOW_ENDED"
    assert warehouse.statuses() == {"sale": "OPEN"}
    assert undo(warehouse, ["sale"])["sale"].status == "WINDOW_ENDED"
    assert (warehouse.items()[MUG]["unit_price"], warehouse.statuses()) == (5, {"sale": "CANCELLED"})


def test_a_long_id_has_an_undo_of_its_own() -> None:
    long = ["x" * 64, "x" * 63 + "y", "ä" * 32]
    assert len({undo_id(each) for each in long}) == len(long)
    assert all(len(undo_id(each).encode()) <= 64 for each in long)
    assert undo_id("c1") == "undo c1"
