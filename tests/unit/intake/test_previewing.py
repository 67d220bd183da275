"""Previews: what they say equals what jobs then do, to the row, and nothing is written."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory_updater.intake.previewing import Preview, Told
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.stock import previewing
from inventory_updater.stock.change_records import ChangeRecord
from inventory_updater.stock.changes import Change
from inventory_updater.stock.item_states import ItemState
from inventory_updater.stock.items import InvalidItem, ItemKey, StockItem, read_item
from inventory_updater.stock.judging import Judgement, LateCount
from inventory_updater.stock.previewing import Foreseen
from inventory_updater.stock.settling import settle
from tests.builders import Stocked, change, item_attributes, moment, stocked, unreadable
from tests.fakes.clock import Clock
from tests.fakes.warehouse import Warehouse, mug
from tests.simulation.faults import Refused

NOW = moment("12:00")
MUG = ItemKey("mug", "DC1")
HOURS = st.integers(0, 11).map(lambda hour: f"{hour:02}:00")
SETTINGS = st.sampled_from(["price", "reorder_point", "safety_stock"])


class Row(NamedTuple):
    key: ItemKey
    change: Change


BOOKINGS = st.builds(change, st.just(""), st.just("adjustment"), st.integers(-9, 9), HOURS)
COUNTS = st.builds(change, st.just(""), st.just("count"), st.integers(0, 9), HOURS, expected=st.none() | st.just(10))
PRICES = st.builds(change, st.just(""), SETTINGS, st.integers(0, 9), HOURS)
WINDOWS = st.builds(
    lambda kind, value, hour, length: change(
        "", kind, value, f"{hour:02}:00", until=moment("00:00", day=3) if length > 11 else f"{hour + length:02}:00"
    ),
    *(SETTINGS, st.integers(0, 9), st.integers(0, 11), st.integers(1, 12)),
)
DAYS = st.lists(BOOKINGS | COUNTS | PRICES | WINDOWS, max_size=12).map(
    lambda changes: [replace(each, change_id=f"c{number:02}") for number, each in enumerate(changes)]
)


def preview_of(warehouse: Warehouse, as_of: str = NOW, now: str = NOW) -> Preview:
    return Preview(warehouse.services.inventory, warehouse.services.changes, as_of, now)


def foreseen(told: Told) -> Foreseen:
    assert isinstance(told, Foreseen)
    return told


def items_of(warehouse: Warehouse) -> dict[ItemKey, StockItem | InvalidItem]:
    return {key: read_item(attributes) for key, attributes in warehouse.items().items()}


def outcomes(told: Foreseen) -> dict[str, str]:
    """What becomes of each change; of a window what it is at last."""
    return {record.change_id: decision.outcome.value for record, decision in told.decided}


@settings(max_examples=25)
@given(early=DAYS, late=DAYS)
def test_what_a_preview_of_a_job_says_equals_what_the_job_does(early: list[Change], late: list[Change]) -> None:
    warehouse = Warehouse()
    warehouse.configure(page_size=100)
    warehouse.put(mug(*early))
    warehouse.run_job("job-0")
    # Late facts meet what has been applied.
    later = [replace(each, change_id=f"late-{each.change_id}") for each in late]
    warehouse.schedule(MUG, *later)
    before, writes = items_of(warehouse), len(warehouse.dynamodb.landed)

    told = {each.key: foreseen(each) for each in preview_of(warehouse).of_job()}

    assert len(warehouse.dynamodb.landed) == writes
    assert {key: each.before for key, each in told.items()} == (before if later else {})
    warehouse.run_job("job-1")
    assert {key: each.after for key, each in told.items()} == (items_of(warehouse) if later else {})
    statuses = warehouse.statuses()
    for each in told.values():
        assert outcomes(each) == {name: statuses[name] for name in outcomes(each)}
        assert set(outcomes(each)) >= {change.change_id for change in later if change.effective_at <= NOW}


@settings(max_examples=15)
@given(there=DAYS, asked=DAYS)
def test_what_a_preview_of_a_file_says_equals_what_happens_once_it_is_scheduled(
    there: list[Change], asked: list[Change]
) -> None:
    warehouse = Warehouse()
    warehouse.configure(page_size=100)
    warehouse.put(mug(*there), stocked(change("other"), sku="cup"))
    rows = [Row(MUG, replace(each, change_id=f"new-{each.change_id}")) for each in asked]

    told = [foreseen(each) for each in preview_of(warehouse).of_rows(rows)]

    assert [each.key for each in told] == ([MUG] if rows else [])
    services = warehouse.services
    schedule_changes(
        *(services.dynamodb, services.inventory, services.changes),
        lambda: iter(rows),
        NOW,
        actor="ann",
        source="a.csv",
        allow_old=True,
    )
    warehouse.run_job()
    for each in told:
        assert each.after == items_of(warehouse)[MUG]
        assert outcomes(each).items() <= warehouse.statuses().items()


def test_of_the_future_a_preview_looks_whenever_something_is_due_as_the_schedule_will(warehouse: Warehouse) -> None:
    window = change("sale", "price", 8, "13:00", until="15:00")
    base = change("base", "price", 25, "14:00")
    warehouse.put(mug(window, base, change("c1", "adjustment", -3, "13:30")))

    def prices(as_of: str) -> tuple[object, dict[str, str]]:
        (told,) = map(foreseen, preview_of(warehouse, moment(as_of)).of_job())
        return told.after.unit_price, outcomes(told)

    assert prices("13:10") == (8, {"sale": "OPEN"})
    assert prices("14:30") == (8, {"sale": "OPEN", "c1": "APPLIED", "base": "APPLIED"})
    assert prices("16:00") == (25, {"sale": "APPLIED", "c1": "APPLIED", "base": "APPLIED"})
    warehouse.clock.starts = Clock.at("13:10").starts
    warehouse.run_job("job-1")
    warehouse.clock.starts = Clock.at("16:00").starts
    warehouse.run_job("job-2")
    assert warehouse.items()[MUG]["unit_price"] == 25


@settings(max_examples=15)
@given(early=DAYS, late=DAYS)
def test_what_a_preview_of_the_future_says_equals_what_a_job_at_each_moment_does(
    early: list[Change], late: list[Change]
) -> None:
    warehouse = Warehouse()
    warehouse.configure(page_size=100)
    warehouse.put(mug(*early))
    warehouse.clock.starts = Clock.at("04:30").starts
    warehouse.run_job("job-0")
    warehouse.schedule(MUG, *(replace(each, change_id=f"late-{each.change_id}") for each in late))

    told = {each.key: foreseen(each) for each in preview_of(warehouse, now=moment("04:30")).of_job()}

    for at in ("04:30", *(f"{hour:02}:00" for hour in range(5, 13))):
        warehouse.clock.starts = Clock.at(at).starts
        warehouse.run_job(f"job-{at}")
    assert {key: each.after for key, each in told.items()} == (items_of(warehouse) if told else {})
    assert all(outcomes(each).items() <= warehouse.statuses().items() for each in told.values())


def test_of_a_hot_item_no_more_is_gone_through_at_each_moment_than_matters_then(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.put(mug(*(change(f"c{number:03}", at=f"13:{number // 60:02}:{number % 60:02}") for number in range(400))))
    looked_at = []

    def counting(state: ItemState, records: Sequence[ChangeRecord], *rest: Any, **options: Any) -> Any:
        looked_at.append(len(records))
        return settle(state, records, *rest, **options)

    monkeypatch.setattr(previewing, "settle", counting)
    (told,) = map(foreseen, preview_of(warehouse, moment("14:00")).of_job())

    assert (len(told.decided), told.after.on_hand) == (400, Decimal(410))
    assert len(looked_at) > 400
    assert max(looked_at) <= 2


@pytest.mark.usefixtures("without_pauses")
def test_a_preview_waits_where_the_tables_throttle(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "count", 4, "08:00"), change("c2")))
    warehouse.run_job("job-0")
    warehouse.schedule(MUG, change("late", "count", 7, "08:30"))
    asked: set[tuple[str, str, object]] = set()

    def throttled_once(operation: str, request: Any) -> Refused | None:
        """Every sort of read is refused at first."""
        sort = (operation, str(request.get("RequestItems", request.get("TableName"))), request.get("IndexName"))
        is_new = sort not in asked
        asked.add(sort)
        return Refused() if is_new else None

    warehouse.happens = throttled_once
    (told,) = map(foreseen, preview_of(warehouse).of_job())

    assert told.after.on_hand == 8
    assert {operation for operation, *_ in asked} == {"query", "batch_get_item"}


def test_of_scope_all_what_is_derived_wrong_is_mended_too(warehouse: Warehouse) -> None:
    warehouse.put(
        mug(change("c1")),
        Stocked(item_attributes(sku="stale", available=3)),
        Stocked(item_attributes(sku="right")),
        Stocked({**item_attributes(sku="bad"), "on_hand": "ten"}),
    )

    told = {each.key.sku: each for each in preview_of(warehouse).of_job(is_scanned=True)}

    assert {sku: type(each) for sku, each in told.items()} == {"mug": Foreseen, "stale": Foreseen, "bad": InvalidItem}
    assert foreseen(told["stale"]).after.available == 10


def test_what_cannot_be_planned_is_named(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1")))

    told = preview_of(warehouse).of_rows([Row(MUG, change("c2"))])
    job = preview_of(warehouse).of_job()

    codes = [(each.key.sku, each.code) for each in (*told, *job) if isinstance(each, InvalidItem)]
    assert codes == [("mug", "UNKNOWN_ITEM"), ("cup", "WRONG_TYPE")]


def test_a_judgement_counts_what_a_person_would_want_to_know_and_names_the_largest(warehouse: Warehouse) -> None:
    cents = [stocked(change("p", "price", 100 + number), sku=f"item-{number:02}") for number in range(12)]
    warehouse.put(
        *cents,
        stocked(change("cut", "price", 0), sku="free"),
        stocked(change("sold", "adjustment", -10), sku="gone"),
        stocked(change("more", "adjustment", -11), sku="short"),
        stocked(change("later", "adjustment", -2, "10:00"), sku="late"),
    )
    warehouse.configure(page_size=100)
    late = ItemKey("late", "DC1")
    warehouse.schedule(late, change("count", "count", 7, "09:30"))

    judged = Judgement()
    for each in preview_of(warehouse).of_job():
        judged.add(foreseen(each))

    assert (judged.items, judged.changed, judged.outcomes) == (16, 15, {"APPLIED": 16, "REJECTED": 1})
    assert (judged.prices_up, judged.prices_down, judged.priced_at_zero) == (12, 1, 1)
    assert (judged.out_of_stock, judged.below_zero, judged.codes) == (1, 0, {"INSUFFICIENT_STOCK": 1})
    largest = judged.largest
    assert (len(largest), largest[0].key) == (10, ItemKey("item-11", "DC1"))
    assert [(largest[0].before, largest[0].after)] == [(Decimal("2.50"), Decimal(111))]
    assert [each.after for each in largest] == sorted((each.after for each in largest), reverse=True)
    warehouse.run_job()
    warehouse.schedule(late, change("again", "count", 5, "09:45"))
    late_one = Judgement()
    for each in preview_of(warehouse).of_job():
        late_one.add(foreseen(each))
    assert late_one.late_counts == [LateCount(late, "again", change("", value=5).value, change("", value=-2).value)]


def test_a_plan_has_another_id_once_an_item_or_what_would_be_decided_is_another(warehouse: Warehouse) -> None:
    warehouse.put(mug(), stocked(sku="cup"))
    rows = [Row(MUG, change("c1", "price", 3)), Row(ItemKey("cup", "DC1"), change("c1"))]

    def plan_id(*asked: Row) -> str:
        judged = Judgement()
        for each in preview_of(warehouse).of_rows(asked):
            judged.add(foreseen(each))
        return judged.plan_id

    first = plan_id(*rows)
    assert plan_id(*reversed(rows)) == first
    assert plan_id(rows[0]) != first != plan_id(rows[0], Row(rows[1].key, change("c1", value=2)))
    warehouse.schedule(MUG, change("before", "price", 9, "08:00"))
    with_another = plan_id(*rows)
    assert with_another != first
    warehouse.run_job()
    assert plan_id(*rows) not in (first, with_another)
