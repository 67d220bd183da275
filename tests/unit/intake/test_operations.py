"""What an operator does to many items at once: everything is checked before the first write."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from inventory_updater.intake.operations import (
    RefusedError,
    RetryReport,
    ScheduleReport,
    UnfinishedError,
    cancel_changes,
    load_stock,
    retry_changes,
    schedule_changes,
)
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Failure, JobStatus, Run, Tally
from tests.builders import NOW, change, item_attributes, moment
from tests.fakes.dynamodb import InMemoryInventory, batch_answer, statement_error

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG, CUP, PLATE = (ItemKey(sku, "DC1") for sku in ("mug", "cup", "plate"))
SKUS = [f"sku-{number:03}" for number in range(250)]


def stock(*items: dict[str, object]) -> InMemoryInventory:
    return InMemoryInventory(items)


def table(inventory: InMemoryInventory) -> InventoryTable:
    return InventoryTable(inventory.client, "inventory")


def pending(inventory: InMemoryInventory) -> dict[ItemKey, list[str]]:
    """The ids of the changes that are pending, of each item that has some."""
    changes = {key: cast("dict[str, object]", item.get("pending_changes")) for key, item in inventory.items.items()}
    return {key: sorted(ids) for key, ids in changes.items() if ids}


# Schedule


def scheduled(inventory: InMemoryInventory, *changes: tuple[ItemKey, Change], **options: Any) -> ScheduleReport:
    return schedule_changes(table(inventory), changes, lambda: NOW, **options)


def test_changes_are_added_to_their_items_in_one_write_an_item_and_the_second_time_nothing_is_written() -> None:
    inventory = stock(item_attributes(), item_attributes(sku="cup"))
    changes = (MUG, change("c1")), (CUP, change("c2")), (MUG, change("c3"))

    assert scheduled(inventory, *changes) == ScheduleReport(scheduled=3, duplicates=0, items=2)
    before = inventory.items[MUG] | {}
    assert scheduled(inventory, *changes) == ScheduleReport(scheduled=0, duplicates=3, items=2)

    assert pending(inventory) == {MUG: ["c1", "c3"], CUP: ["c2"]}
    assert (inventory.writes, inventory.items[MUG]) == ({MUG: 1, CUP: 1}, before)


def test_a_file_that_was_sent_half_is_mended_by_sending_it_again() -> None:
    inventory = stock(item_attributes(pending=[change("c1")]), item_attributes(sku="cup"))

    assert scheduled(inventory, (MUG, change("c1")), (CUP, change("c2"))) == ScheduleReport(1, duplicates=1, items=2)
    assert inventory.writes == {CUP: 1}


def test_nothing_is_written_when_one_item_is_refused() -> None:
    inventory = stock(*(item_attributes(sku=sku) for sku in SKUS))

    with pytest.raises(RefusedError, match="there is no item unknown at DC1") as refused:
        scheduled(inventory, *((ItemKey(sku, "DC1"), change("c1")) for sku in [*SKUS, "unknown"]))

    assert refused.value.refusal.code == "UNKNOWN_ITEM"
    assert (inventory.calls["batch_execute_statement"], pending(inventory)) == (0, {})


def test_a_missing_item_is_made_when_told_so() -> None:
    inventory = stock()

    assert scheduled(inventory, (MUG, change("c1", "count", 5)), create_missing=True).scheduled == 1
    assert (inventory.items[MUG]["on_hand"], pending(inventory)) == (0, {MUG: ["c1"]})


def test_an_item_that_somebody_else_made_meanwhile_gets_the_change_too() -> None:
    inventory = stock()
    inventory.before_write(lambda: inventory.items.update({MUG: item_attributes(9)}))

    scheduled(inventory, (MUG, change("c1")), create_missing=True)

    assert (inventory.items[MUG]["on_hand"], pending(inventory)) == (9, {MUG: ["c1"]})


def test_what_another_writer_schedules_between_check_and_write_is_kept() -> None:
    inventory = stock(item_attributes())
    theirs = item_attributes(pending=[change("theirs")], version=8)
    inventory.before_write(lambda: inventory.items.update({MUG: theirs}))

    assert scheduled(inventory, (MUG, change("mine", at="10:00"))) == ScheduleReport(1, duplicates=0, items=1)
    assert (inventory.items[MUG]["version"], pending(inventory)) == (9, {MUG: ["mine", "theirs"]})


def test_an_item_deleted_between_check_and_write_is_reported_and_the_others_are_written() -> None:
    inventory = stock(item_attributes(), item_attributes(sku="cup"))
    inventory.before_write(lambda: inventory.items.pop(MUG))

    with pytest.raises(UnfinishedError) as unfinished:
        scheduled(inventory, (MUG, change("c1")), (CUP, change("c2")))

    assert str(unfinished.value) == (
        "1 of 2 items were not written, the first is mug at DC1 (there is no item mug at DC1); "
        "do the same again to write the rest"
    )
    assert pending(inventory) == {CUP: ["c2"]}


def test_an_item_that_the_table_does_not_take_is_reported_with_the_tables_reason() -> None:
    class Refusing(InMemoryInventory):
        def batch_execute_statement(self, **_request: Any) -> dict[str, Any]:
            return batch_answer(statement_error("ItemCollectionSizeLimitExceeded", message="too large"))

    with pytest.raises(UnfinishedError, match=r"mug at DC1 \(ItemCollectionSizeLimitExceeded: too large\)"):
        scheduled(Refusing([item_attributes()]), (MUG, change("c1")))


def test_a_change_whose_answer_was_lost_is_there_once_and_counted_once() -> None:
    inventory = stock(item_attributes())
    inventory.lose_next_answer()

    assert scheduled(inventory, (MUG, change("c1"))) == ScheduleReport(scheduled=1, duplicates=0, items=1)
    assert (inventory.writes, pending(inventory)) == ({MUG: 1}, {MUG: ["c1"]})


def test_a_file_of_nothing_changes_nothing() -> None:
    inventory = stock(item_attributes())
    assert (scheduled(inventory), inventory.calls) == (ScheduleReport(0, 0, 0), {})


def test_progress_tells_how_far_checking_and_writing_have_come() -> None:
    told: dict[str, list[int]] = {"checking": [], "writing": []}

    scheduled(
        stock(*(item_attributes(sku=sku) for sku in SKUS[:130])),
        *((ItemKey(sku, "DC1"), change("c1")) for sku in SKUS[:130]),
        progress=lambda phase, done: told[phase].append(done),
    )

    assert told == {"checking": [100, 130], "writing": [25, 50, 75, 100, 125, 130]}


# Load


def loaded(inventory: InMemoryInventory, on_hand: dict[ItemKey, int], **options: Any) -> int:
    texts = {"currency": "EUR", "description": None}
    entries = [(key, Figures(Decimal(number), unit_price=Decimal("2.50")), texts) for key, number in on_hand.items()]
    return load_stock(table(inventory), entries, lambda: NOW, **options)


def test_stock_is_loaded_with_its_derived_figures() -> None:
    inventory = stock()

    assert loaded(inventory, {MUG: 12, CUP: 0}) == 2
    assert (inventory.items[MUG]["stock_value"], inventory.items[CUP]["stock_status"]) == (30, "OUT_OF_STOCK")


def test_nothing_is_loaded_when_one_item_is_already_there() -> None:
    inventory = stock(item_attributes(sku="cup"))

    with pytest.raises(RefusedError, match="item cup at DC1 is already there"):
        loaded(inventory, {MUG: 1, CUP: 1})

    assert set(inventory.items) == {CUP}


def test_replacing_leaves_the_changes_of_an_item_alone() -> None:
    inventory = stock(item_attributes(5, pending=[change("c1")], settled={"c0": ("08:00", "07:00")}))

    assert loaded(inventory, {MUG: 7}, replace=True) == 1

    assert (inventory.items[MUG]["on_hand"], pending(inventory)) == (7, {MUG: ["c1"]})
    assert "c0" in cast("dict[str, object]", inventory.items[MUG]["settled_changes"])


def test_an_item_whose_answer_was_lost_is_loaded() -> None:
    inventory = stock()
    inventory.lose_next_answer()

    assert (loaded(inventory, {MUG: 7}), inventory.writes) == (1, {MUG: 1})


def test_an_item_that_somebody_else_made_meanwhile_is_not_taken_for_a_loaded_one() -> None:
    inventory = stock()
    inventory.before_write(lambda: inventory.items.update({MUG: item_attributes(7, version=1)}))

    with pytest.raises(UnfinishedError, match="item mug at DC1 is already there"):
        loaded(inventory, {MUG: 7})


# Cancel


def waiting(*change_ids: str, sku: str = "mug", **rest: Any) -> dict[str, object]:
    return item_attributes(sku=sku, pending=[change(change_id, **rest) for change_id in change_ids])


def cancelled(inventory: InMemoryInventory, *change_ids: str, **options: Any) -> dict[ItemKey, Sequence[str]]:
    return dict(cancel_changes(table(inventory), change_ids, lambda: NOW, **options))


def test_changes_are_cancelled_wherever_they_are_pending() -> None:
    inventory = stock(waiting("c1", "c2"), waiting("c3", sku="cup"), waiting("c4", sku="plate"))

    assert cancelled(inventory, "c2", "c3") == {MUG: ("c2",), CUP: ("c3",)}
    assert pending(inventory) == {MUG: ["c1"], PLATE: ["c4"]}
    assert "next_change_at" not in inventory.items[CUP]


def test_a_change_of_the_last_year_there_is_can_be_cancelled() -> None:
    assert cancelled(stock(waiting("c1", at="9999-12-31T23:59:59.999999Z")), "c1") == {MUG: ("c1",)}


def test_progress_tells_how_far_the_search_for_an_id_has_come() -> None:
    inventory = stock(*(waiting(f"c{number}", sku=f"sku-{number:04}") for number in range(2_100)))
    told: list[tuple[str, int]] = []

    cancelled(inventory, "c7", progress=lambda phase, done: told.append((phase, done)))

    assert told == [("reading", 1_000), ("reading", 2_000), ("checking", 1), ("writing", 1)]


def test_an_id_that_is_pending_nowhere_is_refused_and_nothing_is_cancelled() -> None:
    settled, was_rejected = {"settled": ("08:00", "07:00")}, [(change("rejected"), "08:00")]
    inventory = stock(item_attributes(pending=[change("c1")], settled=settled, rejected=was_rejected))

    for change_id in ("c9", "settled", "rejected"):
        with pytest.raises(RefusedError, match=f"^change {change_id} is not pending$") as refused:
            cancelled(inventory, "c1", change_id)
        assert (refused.value.refusal.code, refused.value.refusal.change_id) == ("UNKNOWN_CHANGE", change_id)
    assert pending(inventory) == {MUG: ["c1"]}


def test_an_id_that_is_pending_in_several_items_needs_the_item_named() -> None:
    inventory = stock(waiting("c1"), waiting("c1", sku="cup"))

    with pytest.raises(RefusedError) as refused:
        cancelled(inventory, "c1")

    assert refused.value.refusal.code == "AMBIGUOUS_CHANGE"
    assert str(refused.value) == "change c1 is pending in 2 items: name one of cup at DC1, mug at DC1"
    assert cancelled(inventory, "c1", key=CUP) == {CUP: ("c1",)}
    assert pending(inventory) == {MUG: ["c1"]}


def test_a_named_item_that_does_not_hold_the_change_is_said_so() -> None:
    for key in (CUP, PLATE):
        with pytest.raises(RefusedError, match=f"^change c1 is not pending in item {key}$"):
            cancelled(stock(waiting("c1"), waiting("c2", sku="cup")), "c1", key=key)


def test_a_change_that_was_applied_meanwhile_is_not_counted_as_cancelled() -> None:
    inventory = stock(waiting("c1"))
    applied = item_attributes(11, settled={"c1": ("18:00", "09:00")}, version=8)
    inventory.before_write(lambda: inventory.items.update({MUG: applied}))

    assert (cancelled(inventory, "c1"), inventory.items[MUG]["on_hand"]) == ({}, 11)


# Retry

BEGAN = moment("08:00")
RUN = Run("job-0", JobStatus.COMPLETED_WITH_FAILURES, "due", "manual", False, BEGAN, BEGAN, 1)


def retried(
    inventory: InMemoryInventory, *recorded: tuple[ItemKey, str | None], rejections: int, is_exact: bool = True
) -> RetryReport:
    """Retry a job that had so many changes rejected, and of which these failures were recorded."""
    failures = {"job-0": [Failure(*key, change_id, "CODE", "why") for key, change_id in recorded]}
    jobs = cast("JobTable", SimpleNamespace(failures=lambda job_id: iter(failures[job_id])))
    run = replace(RUN, tally=Tally(changes_rejected=rejections), tally_is_exact=is_exact)
    return retry_changes(table(inventory), jobs, run, lambda: NOW)


def rejected(*change_ids: str, sku: str = "mug", **rest: Any) -> dict[str, object]:
    return item_attributes(sku=sku, rejected=[(change(change_id), "08:30") for change_id in change_ids], **rest)


def test_the_rejected_changes_of_a_job_are_pending_again() -> None:
    inventory = stock(rejected("c1", "c2"), rejected("c3", sku="cup"), rejected("c4", sku="plate"))

    report = retried(inventory, (MUG, "c1"), (MUG, "c2"), (CUP, "c3"), (PLATE, None), rejections=3)

    assert report == RetryReport(retried=3, items=2, no_longer_remembered=0)
    assert pending(inventory) == {MUG: ["c1", "c2"], CUP: ["c3"]}
    assert inventory.calls["scan"] == 0


def test_where_only_some_failures_were_recorded_or_a_worker_died_before_it_the_table_is_searched() -> None:
    for rejections, is_exact in ((2, True), (1, False)):
        inventory = stock(rejected("c1"), rejected("c2", sku="cup"), item_attributes(sku="plate"))

        assert retried(inventory, (MUG, "c1"), rejections=rejections, is_exact=is_exact) == RetryReport(2, 2, 0)
        assert pending(inventory) == {MUG: ["c1"], CUP: ["c2"]}


def test_what_the_items_no_longer_remember_is_counted() -> None:
    recorded = (MUG, "c1"), (MUG, "forgotten"), (CUP, "deleted")
    assert retried(stock(rejected("c1")), *recorded, rejections=3) == RetryReport(1, 1, no_longer_remembered=2)


def test_a_retry_repeated_puts_nothing_back_twice() -> None:
    inventory = stock(rejected("c1"))
    retried(inventory, (MUG, "c1"), rejections=1)

    assert retried(inventory, (MUG, "c1"), rejections=1) == RetryReport(0, items=0, no_longer_remembered=1)
    assert inventory.writes == {MUG: 1}


def test_items_that_cannot_be_read_do_not_stop_the_search() -> None:
    inventory = stock(rejected("c1"), item_attributes(sku="cup") | {"rejected_changes": "none"})
    assert retried(inventory, rejections=1).retried == 1


def test_nothing_is_put_back_when_one_item_cannot_take_its_changes() -> None:
    full = rejected("c2", sku="cup", pending=[change(f"p{n}") for n in range(1000)])
    inventory = stock(rejected("c1"), full)

    with pytest.raises(RefusedError, match="item cup at DC1 would have 1,001 pending changes"):
        retried(inventory, (MUG, "c1"), (CUP, "c2"), rejections=2)

    assert inventory.writes == {}
