"""One update call: pages, other writers, failures, time, and workers that die, double or lose the lease."""

import itertools
import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from unittest.mock import Mock, patch

import pytest
from botocore.exceptions import ClientError

from inventory_updater.dynamodb.pacing import OutOfTimeError
from inventory_updater.jobs.worker import NoProgressError, UnknownJobError, update_segment
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.records import JobStatus, Segment
from tests.builders import change, item_attributes, moment
from tests.fakes.dynamodb import WRITE, failed_request
from tests.fakes.warehouse import MUG, Warehouse, counted, items_with_work, mug

# What it does


def test_a_segment_is_worked_off_page_by_page_and_stays_done(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(5))

    assert warehouse.update() is True

    assert warehouse.on_hand() == {15}
    assert {item["last_write_id"] for item in warehouse.inventory.items.values()} == {"job-1/0/1"}
    segment = warehouse.segment()
    assert (segment.is_done, segment.cursor, segment.call, segment.call_is_open) == (True, None, 1, False)
    figures = ("items_scanned", "items_updated", "changes_applied", "calls", "read_units", "write_units")
    assert counted(segment.tally, *figures) == (5, 5, 5, 1, 2.5, 5.0)
    assert segment.tally.memory_used > 1
    assert warehouse.update() is True
    assert warehouse.segment() == segment


def test_every_segment_has_its_own_items(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(20), segments=3)

    assert [warehouse.update(number) for number in range(3)] == [True, True, True]

    scanned = [warehouse.segment(number).tally.items_scanned for number in range(3)]
    assert sum(scanned) == 20
    assert 0 not in scanned
    assert set(warehouse.inventory.writes.values()) == {1}


def test_a_job_that_has_ended_needs_no_further_call(warehouse: Warehouse) -> None:
    warehouse.open()
    assert warehouse.update() is True
    assert warehouse.close().status is JobStatus.SUCCEEDED
    warehouse.put(mug(change("c1")))

    assert warehouse.update() is True
    assert warehouse.inventory.writes == {}


def test_an_unknown_job_or_segment_is_refused_and_leaves_no_record(warehouse: Warehouse) -> None:
    warehouse.open()

    for job_id, segment in (("job-9", 0), ("job-1", 1), ("job-1", -1), ("job-1", 10**30)):
        with pytest.raises(UnknownJobError, match=f"there is no job {job_id} with a segment {segment}"):
            update_segment(warehouse.services, job_id, segment)
    assert warehouse.segment() == Segment("job-1", 0)


def test_a_second_job_right_after_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5), item_attributes(4, sku="other", available=77))
    warehouse.run_job(scope="all")
    warehouse.inventory.writes.clear()

    run = warehouse.run_job("job-2", scope="all")

    assert warehouse.inventory.writes == {}
    assert (run.status, run.tally.items_scanned, run.tally.items_with_work) == (JobStatus.SUCCEEDED, 6, 0)


def test_no_more_than_two_pages_are_in_memory(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(12))
    ahead: list[int] = []
    warehouse.before_write(*[lambda: ahead.append(warehouse.inventory.calls["scan"] - len(ahead) - 1)] * 6)

    warehouse.update()

    assert len(ahead) == 6
    assert max(ahead) <= 1


def test_pages_are_smaller_under_a_write_rate(warehouse: Warehouse) -> None:
    warehouse.open_with(page_size=1000, max_write_rate=2, segments=2, function_timeout_seconds=40)
    asked = warehouse.inventory.before = Mock()

    warehouse.update()

    assert [(call.args[0], call.args[1]["Limit"]) for call in asked.call_args_list] == [("scan", 10)]


def test_the_samples_of_a_segment_are_bounded_over_its_calls(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=12)
    warehouse.put(*items_with_work(60))
    warehouse.open(dry_run=True)
    warehouse.inventory.before = lambda _operation, _request: warehouse.clock.goes_on(10)

    assert warehouse.work_off(seconds=15) == 5
    assert len(warehouse.segment().samples) == 20


# Other writers


@pytest.mark.parametrize(
    ("scope", "item"),
    [
        ("due", mug(change("c1", "adjustment", 5))),
        ("all", mug(change("c1", "adjustment", 5))),
        ("all", mug(available=99)),
        ("all", mug(change("later", at="20:00"), available=99)),
    ],
)
def test_a_lost_answer_is_counted_once(warehouse: Warehouse, scope: str, item: Mapping[str, object]) -> None:
    warehouse.put(item)
    warehouse.open(scope=scope)
    warehouse.lose_next_answer()

    warehouse.update()

    due = int("c1" in str(item.get("pending_changes")))
    assert warehouse.inventory.writes == {MUG: 1}
    assert warehouse.on_hand() == {10 + 5 * due}
    assert counted(warehouse.segment().tally, "items_updated", "items_with_work", "changes_applied") == (1, 1, due)


def test_a_tally_is_not_exact_where_a_write_may_have_landed_that_is_counted_as_failed(warehouse: Warehouse) -> None:
    warehouse.open_with(mug(change("c1", "adjustment", 5)))
    warehouse.lose_next_answer()
    warehouse.before_write(lambda: None, warehouse.inventory.items.clear)

    warehouse.update()

    assert counted(warehouse.segment().tally, "items_failed", "changes_applied") == (1, 0)
    assert warehouse.segment().tally_is_exact is False


def test_a_lost_answer_is_counted_once_even_if_a_checkout_came_after_it(warehouse: Warehouse) -> None:
    warehouse.open_with(mug(change("c1", "adjustment", 5)))
    warehouse.lose_next_answer()
    warehouse.before_write(lambda: None, lambda: warehouse.inventory.items[MUG].update(on_hand=Decimal(13)))

    warehouse.update()

    assert (warehouse.on_hand(), warehouse.segment().tally.changes_applied) == ({13}, 1)


def test_a_write_of_another_call_is_not_taken_for_this_ones(warehouse: Warehouse) -> None:
    warehouse.open_with(mug(change("c1", "adjustment", 5)))
    applied = item_attributes(15, version=8, settled={"c1": ("12:00", "09:00")}) | {"last_write_id": "job-1/0/9"}
    warehouse.before_write(lambda: warehouse.put(applied))

    warehouse.update()

    assert warehouse.segment().tally.changes_applied == 0


# Failures


def test_each_rejected_change_is_recorded_with_its_reason(warehouse: Warehouse) -> None:
    pending = change("c1", "adjustment", -11), change("c2", "price", "much"), change("c3", "adjustment", 1)
    warehouse.open_with(mug(*pending))

    warehouse.update()

    reasons = {each.change_id: each.code for each in warehouse.jobs.failures("job-1")}
    assert reasons == {"c1": "INSUFFICIENT_STOCK", "c2": "NOT_A_NUMBER"}
    assert counted(warehouse.segment().tally, "changes_applied", "changes_rejected", "items_troubled") == (1, 2, 1)


def test_failures_that_cannot_be_recorded_are_counted_all_the_same_and_the_run_says_why(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.open_with(mug(change("c1", "adjustment", -99)), *items_with_work(1), page_size=1)
    with patch.object(warehouse.jobs, "record_failures", side_effect=PermissionError("no BatchWriteItem")):
        warehouse.work_off(seconds=60)

    run = warehouse.close()

    assert (run.status, run.tally_is_exact) == (JobStatus.COMPLETED_WITH_FAILURES, True)
    assert run.error == "segment 0: failures could not be recorded: PermissionError: no BatchWriteItem"
    assert counted(run.tally, "changes_applied", "changes_rejected", "failures_recorded") == (1, 1, 0)
    assert "recording failures failed" in caplog.text


def test_the_cap_of_recorded_failures_is_shared_out_over_the_segments_and_holds_over_all_their_calls(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_updater.jobs.worker.FAILURES_A_JOB", 7)
    items = [mug(change("c", "adjustment", -99), sku=f"sku-{n:03}") for n in range(20)]
    warehouse.open_with(*items, segments=2, page_size=1, batch_size=1)
    warehouse.every_write_takes(10)

    assert min(warehouse.work_off(number, seconds=20) for number in range(2)) > 3
    assert warehouse.close().tally.changes_rejected == 20
    assert [warehouse.segment(number).tally.failures_recorded for number in range(2)] == [3, 3]
    assert len(list(warehouse.jobs.failures("job-1"))) == 6


# Time


def test_a_call_stops_when_the_time_left_is_less_than_one_and_a_half_of_its_slowest_page(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(30), page_size=1)
    warehouse.every_write_takes(10)

    assert warehouse.update(seconds=100) is False

    # A second is kept for saving: after 8 pages 19 seconds are left, after 9 there are 9.
    segment = warehouse.segment()
    assert (segment.tally.items_updated, segment.slowest_page_seconds, segment.call_is_open) == (9, 10, False)


def test_the_reserve_goes_by_the_slowest_page_of_all_calls_not_by_the_last(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(80), page_size=1)
    warehouse.every_write_takes(30, 1)

    assert warehouse.update(seconds=100) is False
    assert warehouse.segment().tally.items_updated == 25  # 30 + 24 seconds: 45 are left of 99
    assert warehouse.update(seconds=100) is False
    assert warehouse.segment().tally.items_updated == 25 + 54


def test_calls_too_short_for_two_pages_lead_to_the_same_stock_and_an_exact_tally(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(9))
    warehouse.every_write_takes(10)

    assert warehouse.work_off(seconds=12) == 5

    run = warehouse.close()
    assert (warehouse.on_hand(), set(warehouse.inventory.writes.values())) == ({15}, {1})
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert counted(run.tally, "items_scanned", "changes_applied", "calls") == (9, 9, 5)


def test_a_call_that_cannot_finish_one_page_says_what_to_do_and_makes_the_tally_a_lower_bound(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(*items_with_work(4), page_size=4, write_concurrency=1)
    warehouse.every_write_takes(10, 0)
    advice = "a page of 4 items did not fit into one call: lower PageSize or raise FunctionTimeoutSeconds"

    with pytest.raises(NoProgressError, match=advice):
        warehouse.update(seconds=8)
    assert warehouse.segment().tally.items_updated == 0
    assert str(warehouse.segment().error).startswith("NoProgressError: a page of 4 items")

    assert warehouse.update() is True
    run = warehouse.close()
    assert (warehouse.on_hand(), set(warehouse.inventory.writes.values())) == ({15}, {1})
    assert (run.tally.changes_applied, run.tally_is_exact, run.error) == (2, False, None)


def test_a_batch_that_was_written_in_part_spoils_the_tally_whatever_ended_it(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4), page_size=4, write_concurrency=2)
    # The first batch is out of time before it is sent; the second one is written and then cannot be counted.
    broken_off = [OutOfTimeError("no time is left"), RuntimeError("cut off after a write")]
    both_have_begun = threading.Barrier(2)

    def write_batch(_self: InventoryTable, batch: Mapping[ItemKey, Any], *_: Any) -> Any:
        both_have_begun.wait(10)
        raise broken_off["sku-000" not in {key.sku for key in batch}]

    with patch.object(InventoryTable, "write_batch", write_batch), pytest.raises(NoProgressError):
        warehouse.update()

    assert warehouse.segment().call_is_open is True


def test_a_page_for_which_no_time_was_left_does_not_spoil_the_tally(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(6))
    warehouse.every_write_takes(10)
    assert warehouse.update(seconds=12) is False

    # With 28 seconds the second page is not read ahead of its turn, and reading it takes all the time there is.
    scans = itertools.count(1)
    warehouse.inventory.before = lambda operation, _request: (
        warehouse.clock.goes_on(100) if operation == "scan" and next(scans) == 2 else None
    )
    assert warehouse.update(seconds=28) is False
    assert (warehouse.segment().tally.items_updated, warehouse.segment().call_is_open) == (4, False)

    assert warehouse.update() is True
    assert (warehouse.close().tally.changes_applied, warehouse.run().tally_is_exact) == (6, True)


def test_a_job_ends_before_its_execution_runs_out_of_history(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_updater.jobs.worker.CALLS_A_JOB", 4)
    warehouse.open_with(*items_with_work(40), page_size=1, segments=2)
    warehouse.every_write_takes(10)

    answers = [[warehouse.update(number, seconds=12) for _ in range(3)] for number in range(2)]
    warehouse.every_write_takes(0)
    run = warehouse.close()

    assert answers == [[False, True, True]] * 2
    assert counted(run.tally, "calls", "changes_applied") == (4, 4)
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert run.error == "stopped after 4 calls; the next job takes up what is left"
    assert run.tally.oldest_overdue == moment("09:00")
    assert warehouse.metrics.figures()["OldestOverdueSeconds"] == 3 * 3600 + 40
    assert warehouse.run_job("job-2").tally.changes_applied == 36


# Workers that die, double or lose the lease


def test_a_page_written_by_a_worker_that_died_before_saving_is_not_counted(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4))
    warehouse.lose_next_answer(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        warehouse.update()

    assert warehouse.update() is True

    run = warehouse.close()
    assert (warehouse.on_hand(), run.status) == ({15}, JobStatus.SUCCEEDED)
    assert (run.tally.changes_applied, run.tally_is_exact) == (2, False)


def test_of_two_calls_at_once_one_drops_its_tally(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4), page_size=10, batch_size=10)
    second: list[bool] = []
    warehouse.before_write(lambda: second.append(warehouse.update()))

    assert (warehouse.update(), second) == (False, [True])

    run = warehouse.close()
    assert set(warehouse.inventory.writes.values()) == {1}
    assert (run.tally.changes_applied, run.tally.items_scanned, run.tally_is_exact) == (4, 4, False)


def test_a_call_that_was_overtaken_goes_on_from_the_truth(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(6))
    warehouse.before_write(lambda: warehouse.jobs.begin_call("job-1", 0))

    assert (warehouse.update(), warehouse.segment().tally.items_updated) == (False, 0)
    assert (warehouse.update(), warehouse.on_hand()) == (True, {15})


def test_a_worker_whose_lease_is_lost_stops_before_the_next_batch(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(6), write_concurrency=1)

    def taken_over() -> None:
        warehouse.clock.goes_on(1_000)
        warehouse.jobs.take_lease("job-2", 300)

    warehouse.before_write(taken_over)

    assert warehouse.update(seconds=10_000) is True

    assert warehouse.inventory.calls[WRITE] == 1
    assert (warehouse.segment().error, warehouse.segment().is_done) == ("the lease is held by job-2", False)


def test_a_refused_request_fails_the_call_and_the_next_one_goes_on(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4))
    warehouse.before_write(lambda: None, Mock(side_effect=failed_request("AccessDeniedException")))

    with pytest.raises(ClientError, match="AccessDeniedException"):
        warehouse.update()
    assert "AccessDeniedException" in str(warehouse.segment().error)

    assert warehouse.update() is True
    assert (warehouse.segment().error, warehouse.segment().tally.items_updated) == (None, 4)
