"""What an operator does to many items at once: everything is checked before the first write."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
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
from inventory_updater.stock.items import Figures, ItemKey
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Failure, JobStatus, Run, Tally
from tests.builders import NOW, change, item_attributes, moment
from tests.fakes.dynamodb import InMemoryInventory, batch_answer, statement_error

pytestmark = pytest.mark.usefixtures("without_pauses")

MUG, CUP, PLATE = (ItemKey(sku, "DC1") for sku in ("mug", "cup", "plate"))
SOME = [(MUG, change("c1")), (CUP, change("c2")), (MUG, change("c3"))]


def now() -> str:
    return NOW


def stock(*items: dict[str, object]) -> InMemoryInventory:
    return InMemoryInventory(items)


def table(inventory: InMemoryInventory) -> InventoryTable:
    return InventoryTable(inventory.client, "inventory")


def pending(inventory: InMemoryInventory, key: ItemKey) -> list[str]:
    return sorted(cast("dict[str, object]", inventory.items[key].get("pending_changes", {})))


# Schedule


def test_changes_are_added_to_their_items_in_one_write_an_item() -> None:
    inventory = stock(item_attributes(), item_attributes(sku="cup"))

    report = schedule_changes(table(inventory), SOME, now)

    assert report == ScheduleReport(scheduled=3, duplicates=0, items=2)
    assert (pending(inventory, MUG), pending(inventory, CUP)) == (["c1", "c3"], ["c2"])
    assert inventory.writes == {MUG: 1, CUP: 1}


def test_scheduling_the_same_again_writes_nothing() -> None:
    inventory = stock(item_attributes(), item_attributes(sku="cup"))
    schedule_changes(table(inventory), SOME, now)
    before = inventory.items[MUG] | {}
    inventory.writes.clear()

    report = schedule_changes(table(inventory), SOME, now)

    assert report == ScheduleReport(scheduled=0, duplicates=3, items=2)
    assert inventory.writes == {}
    assert inventory.items[MUG] == before


def test_a_file_that_was_sent_half_is_mended_by_sending_it_again() -> None:
    inventory = stock(item_attributes(pending=[change("c1")]), item_attributes(sku="cup"))

    report = schedule_changes(table(inventory), [(MUG, change("c1")), (CUP, change("c2"))], now)

    assert report == ScheduleReport(scheduled=1, duplicates=1, items=2)
    assert inventory.writes == {CUP: 1}


def test_nothing_is_written_when_one_item_is_refused() -> None:
    skus = [f"sku-{number:03}" for number in range(250)]
    inventory = stock(*(item_attributes(sku=sku) for sku in skus))
    changes = [(ItemKey(sku, "DC1"), change("c1")) for sku in [*skus, "unknown"]]

    with pytest.raises(RefusedError, match="there is no item unknown at DC1") as refused:
        schedule_changes(table(inventory), changes, now)

    assert refused.value.refusal.code == "UNKNOWN_ITEM"
    assert inventory.calls["batch_execute_statement"] == 0
    assert not any(pending(inventory, key) for key in inventory.items)


def test_a_missing_item_is_made_when_told_so() -> None:
    inventory = stock()

    report = schedule_changes(table(inventory), [(MUG, change("c1", "count", 5))], now, create_missing=True)

    assert report.scheduled == 1
    assert inventory.items[MUG]["on_hand"] == 0
    assert pending(inventory, MUG) == ["c1"]


def test_an_item_that_somebody_else_made_meanwhile_gets_the_change_too() -> None:
    inventory = stock()
    inventory.before_write(lambda: inventory.items.update({MUG: item_attributes(9)}))

    schedule_changes(table(inventory), [(MUG, change("c1"))], now, create_missing=True)

    assert inventory.items[MUG]["on_hand"] == 9
    assert pending(inventory, MUG) == ["c1"]


def test_what_another_writer_schedules_between_check_and_write_is_kept() -> None:
    inventory = stock(item_attributes())
    theirs = item_attributes(pending=[change("theirs")], version=8)
    inventory.before_write(lambda: inventory.items.update({MUG: theirs}))

    report = schedule_changes(table(inventory), [(MUG, change("mine", at="10:00"))], now)

    assert report == ScheduleReport(scheduled=1, duplicates=0, items=1)
    assert pending(inventory, MUG) == ["mine", "theirs"]
    assert inventory.items[MUG]["version"] == 9


def test_an_item_deleted_between_check_and_write_is_reported_and_the_others_are_written() -> None:
    inventory = stock(item_attributes(), item_attributes(sku="cup"))
    inventory.before_write(lambda: inventory.items.pop(MUG))

    with pytest.raises(
        UnfinishedError,
        match=r"^1 of 2 items were not written, the first is mug at DC1 \(there is no item mug at DC1\); "
        r"do the same again to write the rest$",
    ):
        schedule_changes(table(inventory), [(MUG, change("c1")), (CUP, change("c2"))], now)

    assert pending(inventory, CUP) == ["c2"]


def test_an_item_that_the_table_does_not_take_is_reported_with_the_tables_reason() -> None:
    class Refusing(InMemoryInventory):
        def batch_execute_statement(self, **_request: Any) -> dict[str, Any]:
            return batch_answer(statement_error("ItemCollectionSizeLimitExceeded", message="too large"))

    inventory = Refusing([item_attributes()])

    with pytest.raises(UnfinishedError, match=r"mug at DC1 \(ItemCollectionSizeLimitExceeded: too large\)"):
        schedule_changes(table(inventory), [(MUG, change("c1"))], now)


def test_a_change_whose_answer_was_lost_is_there_once_and_counted_once() -> None:
    inventory = stock(item_attributes())
    inventory.lose_next_answer()

    report = schedule_changes(table(inventory), [(MUG, change("c1"))], now)

    assert report == ScheduleReport(scheduled=1, duplicates=0, items=1)
    assert pending(inventory, MUG) == ["c1"]
    assert inventory.writes == {MUG: 1}


def test_a_file_of_nothing_changes_nothing() -> None:
    inventory = stock(item_attributes())

    assert schedule_changes(table(inventory), [], now) == ScheduleReport(0, 0, 0)
    assert inventory.calls == {}


def test_progress_tells_how_far_checking_and_writing_have_come() -> None:
    skus = [f"sku-{number:03}" for number in range(130)]
    inventory = stock(*(item_attributes(sku=sku) for sku in skus))
    told: list[tuple[str, int]] = []

    schedule_changes(
        table(inventory),
        [(ItemKey(sku, "DC1"), change("c1")) for sku in skus],
        now,
        progress=lambda phase, done: told.append((phase, done)),
    )

    assert [done for phase, done in told if phase == "checking"] == [100, 130]
    assert [done for phase, done in told if phase == "writing"] == [25, 50, 75, 100, 125, 130]


# Load

TEXTS: Mapping[str, str | None] = {"currency": "EUR", "description": None}


def test_stock_is_loaded_with_its_derived_figures() -> None:
    inventory = stock()

    loaded = load_stock(
        table(inventory),
        [(MUG, Figures(Decimal(12), unit_price=Decimal("2.50")), TEXTS), (CUP, Figures(Decimal(0)), {})],
        now,
    )

    assert loaded == 2
    assert inventory.items[MUG]["stock_value"] == 30
    assert inventory.items[CUP]["stock_status"] == "OUT_OF_STOCK"


def test_nothing_is_loaded_when_one_item_is_already_there() -> None:
    inventory = stock(item_attributes(sku="cup"))

    with pytest.raises(RefusedError, match="item cup at DC1 is already there"):
        load_stock(table(inventory), [(MUG, Figures(Decimal(1)), {}), (CUP, Figures(Decimal(1)), {})], now)

    assert MUG not in inventory.items


def test_replacing_leaves_the_changes_of_an_item_alone() -> None:
    inventory = stock(item_attributes(5, pending=[change("c1")], settled={"c0": ("08:00", "07:00")}))

    assert load_stock(table(inventory), [(MUG, Figures(Decimal(7)), {})], now, replace=True) == 1

    assert inventory.items[MUG]["on_hand"] == 7
    assert pending(inventory, MUG) == ["c1"]
    assert "c0" in cast("dict[str, object]", inventory.items[MUG]["settled_changes"])


def test_an_item_whose_answer_was_lost_is_loaded() -> None:
    inventory = stock()
    inventory.lose_next_answer()

    assert load_stock(table(inventory), [(MUG, Figures(Decimal(7)), {})], now) == 1
    assert inventory.writes == {MUG: 1}


def test_an_item_that_somebody_else_made_meanwhile_is_not_taken_for_a_loaded_one() -> None:
    inventory = stock()
    inventory.before_write(lambda: inventory.items.update({MUG: item_attributes(7, version=1)}))

    with pytest.raises(UnfinishedError, match="item mug at DC1 is already there"):
        load_stock(table(inventory), [(MUG, Figures(Decimal(7)), {})], now)


# Cancel


def waiting(*change_ids: str, sku: str = "mug", **rest: Any) -> dict[str, object]:
    return item_attributes(sku=sku, pending=[change(change_id, **rest) for change_id in change_ids])


def test_changes_are_cancelled_wherever_they_are_pending() -> None:
    inventory = stock(waiting("c1", "c2"), waiting("c3", sku="cup"), waiting("c4", sku="plate"))

    cancelled = cancel_changes(table(inventory), ["c2", "c3"], now)

    assert cancelled == {MUG: ("c2",), CUP: ("c3",)}
    assert (pending(inventory, MUG), pending(inventory, CUP), pending(inventory, PLATE)) == (["c1"], [], ["c4"])
    assert "next_change_at" not in inventory.items[CUP]


def test_a_change_of_the_last_year_there_is_can_be_cancelled() -> None:
    inventory = stock(waiting("c1", at="9999-12-31T23:59:59.999999Z"))

    assert cancel_changes(table(inventory), ["c1"], now) == {MUG: ("c1",)}


def test_progress_tells_how_far_the_search_for_an_id_has_come() -> None:
    inventory = stock(*(waiting(f"c{number}", sku=f"sku-{number:04}") for number in range(2_100)))
    told: list[tuple[str, int]] = []

    cancel_changes(table(inventory), ["c7"], now, progress=lambda phase, done: told.append((phase, done)))

    assert told == [("reading", 1_000), ("reading", 2_000), ("checking", 1), ("writing", 1)]


def test_an_id_that_is_pending_nowhere_is_refused_and_nothing_is_cancelled() -> None:
    inventory = stock(
        item_attributes(
            pending=[change("c1")],
            settled={"settled": ("08:00", "07:00")},
            rejected=[(change("rejected"), "08:00")],
        )
    )

    for change_id in ("c9", "settled", "rejected"):
        with pytest.raises(RefusedError, match=f"^change {change_id} is not pending$") as refused:
            cancel_changes(table(inventory), ["c1", change_id], now)
        assert (refused.value.refusal.code, refused.value.refusal.change_id) == ("UNKNOWN_CHANGE", change_id)
    assert pending(inventory, MUG) == ["c1"]


def test_an_id_that_is_pending_in_several_items_needs_the_item_named() -> None:
    inventory = stock(waiting("c1"), waiting("c1", sku="cup"))

    with pytest.raises(RefusedError) as refused:
        cancel_changes(table(inventory), ["c1"], now)

    assert refused.value.refusal.code == "AMBIGUOUS_CHANGE"
    assert str(refused.value) == "change c1 is pending in 2 items: name one of cup at DC1, mug at DC1"
    assert cancel_changes(table(inventory), ["c1"], now, key=CUP) == {CUP: ("c1",)}
    assert (pending(inventory, MUG), pending(inventory, CUP)) == (["c1"], [])


def test_a_named_item_that_does_not_hold_the_change_is_said_so() -> None:
    inventory = stock(waiting("c1"), waiting("c2", sku="cup"))

    for key in (CUP, PLATE):
        with pytest.raises(RefusedError, match=f"^change c1 is not pending in item {key}$"):
            cancel_changes(table(inventory), ["c1"], now, key=key)


def test_a_change_that_was_applied_meanwhile_is_not_counted_as_cancelled() -> None:
    inventory = stock(waiting("c1"))
    applied = item_attributes(11, settled={"c1": ("18:00", "09:00")}, version=8)
    inventory.before_write(lambda: inventory.items.update({MUG: applied}))

    assert cancel_changes(table(inventory), ["c1"], now) == {}
    assert inventory.items[MUG]["on_hand"] == 11


# Retry


@dataclass
class RecordedFailures:
    """Stands in for the jobs table: only its failures are asked for."""

    recorded: list[Failure]

    def failures(self, job_id: str) -> Iterator[Failure]:
        assert job_id == "job-0"
        return iter(self.recorded)


def failures(*recorded: tuple[ItemKey, str | None]) -> JobTable:
    stand_in = RecordedFailures([Failure(*key, change_id, "CODE", "why") for key, change_id in recorded])
    return cast("JobTable", stand_in)


def finished(rejected: int) -> Run:
    status, began = JobStatus.COMPLETED_WITH_FAILURES, moment("08:00")
    return Run("job-0", status, "due", "manual", False, began, began, 1, tally=Tally(changes_rejected=rejected))


def rejected(*change_ids: str, sku: str = "mug") -> dict[str, object]:
    return item_attributes(sku=sku, rejected=[(change(change_id), "08:30") for change_id in change_ids])


def test_the_rejected_changes_of_a_job_are_pending_again() -> None:
    inventory = stock(rejected("c1", "c2"), rejected("c3", sku="cup"), rejected("c4", sku="plate"))
    jobs = failures((MUG, "c1"), (MUG, "c2"), (CUP, "c3"), (PLATE, None))

    report = retry_changes(table(inventory), jobs, finished(3), now)

    assert report == RetryReport(retried=3, items=2, no_longer_remembered=0)
    assert (pending(inventory, MUG), pending(inventory, CUP), pending(inventory, PLATE)) == (["c1", "c2"], ["c3"], [])
    assert inventory.calls["scan"] == 0


def test_where_only_some_failures_were_recorded_the_table_is_searched() -> None:
    inventory = stock(rejected("c1"), rejected("c2", sku="cup"), item_attributes(sku="plate"))

    report = retry_changes(table(inventory), failures((MUG, "c1")), finished(2), now)

    assert report == RetryReport(retried=2, items=2, no_longer_remembered=0)
    assert pending(inventory, CUP) == ["c2"]


def test_where_a_worker_died_before_recording_its_failures_the_table_is_searched() -> None:
    inventory = stock(rejected("c1"), rejected("c2", sku="cup"))
    run = replace(finished(1), tally_is_exact=False)

    assert retry_changes(table(inventory), failures((MUG, "c1")), run, now) == RetryReport(2, 2, 0)


def test_what_the_items_no_longer_remember_is_counted() -> None:
    inventory = stock(rejected("c1"))
    jobs = failures((MUG, "c1"), (MUG, "forgotten"), (CUP, "deleted"))

    assert retry_changes(table(inventory), jobs, finished(3), now) == RetryReport(1, 1, no_longer_remembered=2)


def test_a_retry_repeated_puts_nothing_back_twice() -> None:
    inventory = stock(rejected("c1"))
    retry_changes(table(inventory), failures((MUG, "c1")), finished(1), now)

    report = retry_changes(table(inventory), failures((MUG, "c1")), finished(1), now)

    assert report == RetryReport(retried=0, items=0, no_longer_remembered=1)
    assert inventory.writes == {MUG: 1}


def test_items_that_cannot_be_read_do_not_stop_the_search() -> None:
    inventory = stock(rejected("c1"), item_attributes(sku="cup") | {"rejected_changes": "none"})

    assert retry_changes(table(inventory), failures(), finished(1), now).retried == 1


def test_nothing_is_put_back_when_one_item_cannot_take_its_changes() -> None:
    full = item_attributes(
        sku="cup", pending=[change(f"p{n}") for n in range(1000)], rejected=[(change("c2"), "08:30")]
    )
    inventory = stock(rejected("c1"), full)

    with pytest.raises(RefusedError, match="item cup at DC1 would have 1,001 pending changes"):
        retry_changes(table(inventory), failures((MUG, "c1"), (CUP, "c2")), finished(2), now)

    assert inventory.writes == {}
