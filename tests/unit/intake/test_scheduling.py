"""Scheduling: all or nothing, each change once, and never more than is needed is read or written."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import pytest

from inventory_updater.intake import guarding, scheduling
from inventory_updater.intake.refusals import Refusal, Refusals, RefusedError, RowsChangedError, UnfinishedError
from inventory_updater.intake.scheduling import Scheduled, Scheduling, schedule_changes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.guards import Guards
from inventory_updater.stock.items import ItemKey
from tests.builders import NOW, USUAL_GUARDS, change, item_attributes, record_attributes
from tests.fakes.dynamodb import WRITE
from tests.fakes.warehouse import Warehouse
from tests.shop import put_items
from tests.simulation.faults import AnswerLost, Fault, Refused, RefusedInPart, Request
from tests.simulation.sizes import item_size, write_units

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG, CUP = (ItemKey(sku, "DC1") for sku in ("mug", "cup"))
LONG_AGO = "2026-01-15T09:00:00.000000Z"


class Row(NamedTuple):
    key: ItemKey
    change: Change


def rows(*changes: Change, key: ItemKey = MUG) -> list[Row]:
    return [Row(key, each) for each in changes]


def scheduled(warehouse: Warehouse, given: Iterable[Row], **options: Any) -> Scheduled:
    given = list(given)
    services = warehouse.services
    wanted: dict[str, Any] = {"actor": "ann", "source": "a.csv"} | options
    return schedule_changes(
        *(services.dynamodb, services.inventory, services.changes),
        lambda: iter(given),
        NOW,
        **wanted,
    )


def refusals(warehouse: Warehouse, given: Sequence[Row], **options: Any) -> dict[str, str]:
    """What is said of rows of which nothing is written: change id -> codes."""
    before, told = len(warehouse.dynamodb.landed), list[Refusal]()
    with pytest.raises(RefusedError) as refused:
        scheduled(warehouse, given, tell_refusal=told.append, **options)
    assert len(warehouse.dynamodb.landed) == before
    assert (refused.value.count, refused.value.refusals) == (len(told), tuple(told))
    codes: dict[str, str] = {}
    for each in told:
        assert isinstance(each.row, Row)
        codes[each.row.change.change_id] = " ".join(filter(None, (codes.get(each.row.change.change_id), each.code)))
    return codes


@pytest.fixture
def stocked(warehouse: Warehouse) -> Warehouse:
    warehouse.put(item_attributes(), item_attributes(sku="cup"))
    warehouse.dynamodb.calls.clear()
    return warehouse


def test_a_change_becomes_a_record_that_waits_and_the_second_time_nothing_is_written(stocked: Warehouse) -> None:
    given = [*rows(change("c1"), change("c2", "price", 5, until="20:00")), *rows(change("c1"), key=CUP)]

    assert scheduled(stocked, given) == Scheduled(added=3, known={}, items=2)
    landed = len(stocked.dynamodb.landed)
    assert scheduled(stocked, given) == Scheduled(added=0, known={"PENDING": 3}, items=2)

    assert len(stocked.dynamodb.landed) == landed
    record = stocked.services.changes.stored([(MUG, "c2")])[MUG, "c2"]
    origin = {"actor": "ann", "source": "a.csv", "scheduled_at": NOW}
    assert record == record_attributes(MUG, given[1].change, **origin)


def test_what_is_there_already_is_counted_by_its_status_and_needs_no_item(warehouse: Warehouse) -> None:
    for name, status in (("c1", "APPLIED"), ("c2", "REJECTED"), ("c3", "APPLIED")):
        put_items(
            warehouse.dynamodb.client, warehouse.tables.changes, [record_attributes(MUG, change(name), status=status)]
        )

    answer = scheduled(warehouse, rows(*map(change, ("c1", "c2", "c3"))))

    assert answer == Scheduled(added=0, known={"APPLIED": 2, "REJECTED": 1}, items=1)
    assert warehouse.dynamodb.calls["batch_get_item"] == 1


def test_every_problem_of_every_row_is_told_and_nothing_is_written(stocked: Warehouse) -> None:
    stocked.schedule(MUG, change("taken", value=5))
    given = [
        *rows(change("good"), change("taken", value=6), change("old", at=LONG_AGO), change("twice"), change("twice")),
        *rows(change("nowhere"), change("both", at=LONG_AGO), key=ItemKey("gone", "DC1")),
    ]

    assert refusals(stocked, given) == {
        "taken": "CHANGE_ID_TAKEN",
        "old": "TOO_OLD",
        "nowhere": "UNKNOWN_ITEM",
        "both": "UNKNOWN_ITEM TOO_OLD",
        "twice": "TWICE",
    }
    assert scheduled(stocked, rows(change("old", at=LONG_AGO)), allow_old=True).added == 1


def test_an_old_change_that_is_known_is_no_problem(stocked: Warehouse) -> None:
    stocked.schedule(MUG, change("old", at=LONG_AGO))
    assert scheduled(stocked, rows(change("old", at=LONG_AGO))).known == {"PENDING": 1}


def test_many_refusals_are_all_told_and_some_are_kept(stocked: Warehouse) -> None:
    told: list[Refusal] = []
    given = [Row(ItemKey(f"sku-{number}", "DC1"), change("c1")) for number in range(1_010)]

    with pytest.raises(RefusedError, match=r"^there is no item sku-0 at DC1 \(and 1,009 more\)$") as refused:
        scheduled(stocked, given, tell_refusal=told.append)

    assert (len(told), refused.value.count, len(refused.value.refusals)) == (1_010, 1_010, 1_000)
    assert [each.row for each in told] == given


def test_items_that_are_missing_are_made_once_when_told_so_before_anything_waits_for_them(warehouse: Warehouse) -> None:
    given = [Row(ItemKey(f"sku-{number % 150:03}", "DC1"), change(f"c{number}")) for number in range(300)]

    assert scheduled(warehouse, given, create_missing=True) == Scheduled(300, {}, items=150, items_made=150)

    item = warehouse.items()[given[0].key]
    assert (item["on_hand"], item["stock_status"], item["version"], item["updated_at"]) == (0, "OUT_OF_STOCK", 1, NOW)
    tables = [landed.table for landed in warehouse.dynamodb.landed]
    assert tables == [warehouse.tables.inventory] * 150 + [warehouse.tables.changes] * 300


# What is unusual


def price_list(prices: Iterable[object], name: str = "p") -> list[Row]:
    return [Row(ItemKey(f"sku-{n}", "DC1"), change(f"{name}{n}", "price", value)) for n, value in enumerate(prices)]  # type: ignore[arg-type]


def codes_held(
    warehouse: Warehouse, given: Sequence[Row], guards: Guards = USUAL_GUARDS, **options: Any
) -> dict[str, int]:
    """How many rows are held, by code; whatever is said, nothing is written."""
    services, codes = warehouse.services, Counter[str]()
    places = (services.dynamodb, services.inventory, services.changes)
    asking = Scheduling(*places, lambda: iter(given), NOW, "ann", "a.csv", guards=guards, **options)
    asking.check(Refusals(lambda each: codes.update([each.code])))
    return dict(codes)


def test_what_is_unusual_is_refused_beside_what_is_wrong_unless_it_is_meant(stocked: Warehouse) -> None:
    given = [
        *rows(change("dear", "price", 250), change("twice"), change("c1", "price", 3), change("twice")),
        *rows(change("nowhere", "price", 250), key=ItemKey("gone", "DC1")),
        *rows(change("free", "price", 0, at="2099-01-01T00:00:00.000000Z"), key=CUP),
    ]
    problems = {"twice": "TWICE", "nowhere": "UNKNOWN_ITEM"}
    assert refusals(stocked, given) == problems
    unusual = {"dear": "PRICE_CHANGE", "free": "PRICE_ZERO FAR_AHEAD"}
    assert refusals(stocked, given, guards=USUAL_GUARDS) == problems | unusual


def test_a_change_that_is_known_was_taken_once_and_is_not_held(stocked: Warehouse) -> None:
    given = rows(change("dear", "price", 250), change("c1"))
    assert scheduled(stocked, given).added == 2
    assert scheduled(stocked, given, guards=USUAL_GUARDS).known == {"PENDING": 2}
    assert refusals(stocked, [*given, *rows(change("new", "price", 250))], guards=USUAL_GUARDS) == {
        "new": "PRICE_CHANGE"
    }


def test_what_may_be_forgotten_is_history_and_is_not_held_whatever_else_the_file_has(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{number}", unit_price="2.50") for number in range(40)))
    oldest = warehouse.services.changes.forgotten_until(NOW)
    history = [
        Row(row.key, replace(row.change, effective_at=oldest))
        for row in [*price_list([250] * 40), *price_list([0] * 40, "free")]
    ]
    sales = [Row(ItemKey(f"sku-{n}", "DC1"), change(f"c{n}", value=-10)) for n in range(40)]
    old_sales = [Row(row.key, replace(row.change, effective_at=oldest)) for row in sales]
    guards = replace(USUAL_GUARDS, max_items_of_one_price=3)
    allowed = partial(codes_held, warehouse, guards=guards, allow_old=True)

    assert allowed([*history, *old_sales]) == {}
    assert allowed([*history, *price_list([3] * 3, "new")]) == {}
    assert allowed([*history, *price_list([250] * 2 + [3] * 4, "new")]) == {"PRICE_CHANGE": 2, "SAME_PRICE": 4}
    assert allowed([*old_sales[:10], *sales[10:]]) == {"OUT_OF_STOCK": 30}
    assert refusals(warehouse, history, guards=guards).keys() == {row.change.change_id for row in history}
    assert set(refusals(warehouse, history, guards=guards).values()) == {"TOO_OLD"}


def test_an_item_that_is_made_has_nothing_to_be_held_against(warehouse: Warehouse) -> None:
    given = [*price_list([250] * 300), *price_list([9] * 300, "q")]
    assert scheduled(warehouse, given, create_missing=True, guards=USUAL_GUARDS).items_made == 300
    free = rows(change("free", "price", 0))
    assert refusals(warehouse, free, create_missing=True, guards=USUAL_GUARDS) == {"free": "PRICE_ZERO"}


def test_every_row_of_an_item_is_held_against_it_however_far_apart_and_it_is_read_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{number}") for number in range(2_000)))
    given = [*price_list([3] * 2_000), *price_list([250] * 2_000, "q")]
    guards = replace(USUAL_GUARDS, max_items_of_one_price=0)
    found = {}
    for kept in (20_000, 50):
        monkeypatch.setattr(scheduling, "_GUARDED_ITEMS_KEPT", kept)
        warehouse.dynamodb.calls.clear()
        found[kept] = (codes_held(warehouse, given, guards), warehouse.dynamodb.calls["batch_get_item"])
    # Forty times a hundred records, and twenty or forty times a hundred items.
    assert found == {20_000: ({"PRICE_CHANGE": 2_000}, 60), 50: ({"PRICE_CHANGE": 2_000}, 80)}


def test_a_file_that_leaves_many_items_with_nothing_is_held_with_every_row_that_does(warehouse: Warehouse) -> None:
    skus = [f"sku-{number}" for number in range(24)]
    warehouse.put(*(item_attributes(sku=sku) for sku in skus), item_attributes(0, sku="out"))

    def sales(*values: int) -> list[Row]:
        return [Row(ItemKey(sku, "DC1"), change("c1", value=value)) for sku, value in zip(skus, values, strict=False)]

    def again(count: int) -> list[Row]:
        return [Row(ItemKey(sku, "DC1"), change("again", "count", 0)) for sku in skus[:count]]

    held = {
        "ten of ten": sales(*[-10] * 10),
        "ten of ten, twice": [*sales(*[-10] * 10), *again(10)],
        "half": sales(*[-10] * 12, *[-1] * 12),
        "half, twice": [*sales(*[-10] * 12, *[-1] * 12), *again(12)],
        "of two that has nothing": [*sales(*[-10] * 11), *rows(change("c1", "count", 0), key=ItemKey("out", "DC1"))],
        "more than half": sales(*[-1] * 11, *[-10] * 13),
    }
    # A count of 0 instead of 10 differs by no more than ten units.
    assert {name: codes_held(warehouse, given) for name, given in held.items()} == {
        "ten of ten": {},
        "ten of ten, twice": {},
        "half": {},
        "half, twice": {},
        "of two that has nothing": {"OUT_OF_STOCK": 11},
        "more than half": {"OUT_OF_STOCK": 13},
    }
    told: list[Refusal] = []
    with pytest.raises(RefusedError):
        scheduled(warehouse, held["more than half"], guards=USUAL_GUARDS, tell_refusal=told.append)
    assert [each.row for each in told] == held["more than half"][11:]
    assert told[0].message == (
        "leaves nothing available of sku-11 at DC1, as this file does of 13 of its 24 items; MaxItemsOutOfStock is 50"
    )


def test_one_price_for_very_many_items_is_held_with_each_row_that_has_it(warehouse: Warehouse) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{number}", unit_price=None) for number in range(8)))
    guards = replace(USUAL_GUARDS, max_items_of_one_price=3)
    held = partial(codes_held, warehouse, guards=guards)
    usual = price_list(["1.5", "1.50", "1.500", 2, 2, 2])
    assert held(usual) == held([*usual, *price_list(["1.5", "1.50", "1.500"], "again")]) == {}
    more = price_list(["1.5", "1.50", "1.500", 2, 2, 2, "1.5", 3])
    assert held(more) == {"SAME_PRICE": 4}
    assert held([*more, *price_list(["1.5"], "again")]) == {"SAME_PRICE": 5}
    assert held([Row(row.key, replace(row.change, kind="reorder_point")) for row in more]) == {}
    told: list[Refusal] = []
    with pytest.raises(RefusedError):
        scheduled(warehouse, more, guards=guards, tell_refusal=told.append)
    assert [each.row for each in told] == [more[place] for place in (0, 1, 2, 6)]
    assert told[0].message == "1.5 is the price of 4 different items of this file; MaxItemsOfOnePrice is 3"


def test_prices_that_share_a_count_are_told_apart(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.put(*(item_attributes(sku=f"sku-{number}", unit_price=None) for number in range(9)))
    monkeypatch.setattr(guarding, "_COUNTS", 1)
    guards = replace(USUAL_GUARDS, max_items_of_one_price=3)
    assert codes_held(warehouse, price_list([1, 1, 1, 2, 2, 2, 3, 3, 3]), guards) == {}
    assert codes_held(warehouse, price_list([1, 1, 1, 2, 2, 2, 2, 3, 3]), guards) == {"SAME_PRICE": 4}


# What others do meanwhile, and what gets lost


def happens_at_first_write(warehouse: Warehouse, happens: Any) -> None:
    def decide(operation: str, _request: Request) -> Fault | None:
        if operation != WRITE:
            return None
        warehouse.happens = lambda _operation, _request: None
        fault: Fault | None = happens()
        return fault

    warehouse.happens = decide


def test_what_another_writer_puts_between_check_and_write_is_known_or_told(stocked: Warehouse) -> None:
    same, other = change("c1"), change("c2", value=7)
    happens_at_first_write(stocked, lambda: stocked.schedule(MUG, same, other))

    with pytest.raises(UnfinishedError, match=r"^1 change was not written, the first is c2 of mug at DC1 \(change c2"):
        scheduled(stocked, rows(same, change("c2", value=8), change("c3")))

    assert stocked.statuses() == dict.fromkeys(("c1", "c2", "c3"), "PENDING")
    assert scheduled(stocked, rows(same, change("c3"))).known == {"PENDING": 2}


def test_a_change_whose_answer_was_lost_or_late_is_there_once_and_counted_as_added(stocked: Warehouse) -> None:
    for number, fault in enumerate((AnswerLost(), AnswerLost(is_done=False), Refused(), RefusedInPart(frozenset({1})))):
        happens_at_first_write(stocked, lambda fault=fault: fault)
        assert scheduled(stocked, rows(change(f"a{number}"), change(f"b{number}"))) == Scheduled(2, {}, items=1)

    assert len(stocked.dynamodb.items(stocked.tables.changes)) == 8


def test_rows_that_change_between_the_passes_are_noticed(stocked: Warehouse) -> None:
    first, more = rows(change("c1")), rows(change("c1"), change("c2"))
    services = stocked.services
    for passes in ([first, more], [more, first], [first, rows(change("c3"))]):
        readings = iter(passes)
        with pytest.raises(RowsChangedError):
            schedule_changes(
                *(services.dynamodb, services.inventory, services.changes),
                lambda readings=readings: next(readings),  # type: ignore[misc]  # mypy cannot infer it
                NOW,
                actor="ann",
                source="a.csv",
            )


# What it costs


def test_a_new_change_costs_half_a_read_and_two_writes_and_a_known_one_half_a_read(stocked: Warehouse) -> None:
    given = rows(*(change(f"c{number:04}") for number in range(1_000)))

    scheduled(stocked, given)
    first = dict(stocked.dynamodb.calls)
    stocked.dynamodb.calls.clear()
    scheduled(stocked, given)

    # Ten of a hundred records, and the one item until it is known; forty of 25 statements.
    assert first[WRITE] == 40
    assert 10 < first["batch_get_item"] <= 30
    assert stocked.dynamodb.calls == {"batch_get_item": 10}


def test_a_record_stays_under_one_write_unit(warehouse: Warehouse) -> None:
    warehouse.put(item_attributes(sku="s" * 40, location_id="l" * 20))
    long = replace(
        change("c" * 40, "price", "12345678.90", until="20:00", expected="12345678.90", not_after="19:00"),
        reason="r" * 64,
        reference="f" * 64,
    )
    key = ItemKey("s" * 40, "l" * 20)
    scheduled(warehouse, [Row(key, long)], actor="arn:" * 60, source="s3://incoming/" * 20)

    (record,) = warehouse.dynamodb.items(warehouse.tables.changes)
    assert (write_units(item_size(record)), record["actor"]["S"]) == (1, "arn:" * 16)
