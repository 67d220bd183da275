"""One update call: lanes and pages, what is counted, time, and workers that die, double, stop or lose the lease."""

import threading
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from inventory_updater.jobs.worker import NoProgressError, UnknownJobError, update_segment
from inventory_updater.stock.items import ItemKey, item_id
from inventory_updater.tables.change_table import SHARDS, shard_of
from inventory_updater.tables.records import JobStatus, Segment
from tests.builders import Stocked, change, item_attributes, moment, record_attributes, unreadable
from tests.fakes.clock import Clock
from tests.fakes.dynamodb import WRITE
from tests.fakes.warehouse import MUG, Warehouse, counted, items_with_work, mug
from tests.shop import put_items
from tests.simulation.faults import AnswerLost, DoneTwice, Fault, ProcessDied, Refused, RefusedInPart, Request

FIVE_SALES = [change(f"c{number}", "adjustment", -1) for number in range(5)]


def in_shard_25(count: int) -> list[Stocked]:
    """So many items of which something is due in one lane."""
    return [each for each in items_with_work(300) if shard_of(item_id(each.key)) == "25"][:count]


def unreadable_cup(number: int) -> Stocked:
    return unreadable(f"cup-{number}", change("broken"))


# What it does


def test_a_segment_is_worked_off_lane_by_lane_and_stays_done(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(5))

    assert warehouse.update() is True

    assert (warehouse.on_hand(), set(warehouse.statuses().values())) == ({15}, {"APPLIED"})
    segment = warehouse.segment()
    assert (segment.is_done, segment.lanes_begun, segment.cursors) == (True, 64, {})
    assert (segment.call, segment.call_is_open) == (1, False)
    figures = ("items_scanned", "items_updated", "items_repaired", "changes_applied", "calls")
    assert counted(segment.tally, *figures) == (5, 5, 0, 5, 1)
    assert (segment.tally.lateness.longest, sum(segment.tally.lateness.counts.values())) == (3 * 3600, 5)
    # Of each item a shard with its page, the item, its record; two writes, of the record's index too.
    assert (segment.tally.read_units, segment.tally.write_units) == (0.5 * 64 + 5 * 2, 5 * 3)
    assert segment.tally.memory_used > 1
    assert {(each.key.sku, each.outcome) for each in warehouse.jobs.settled("job-1")} == {
        (f"sku-{number:03}", "APPLIED") for number in range(5)
    }
    assert warehouse.update() is True
    assert warehouse.segment() == segment


def test_a_window_that_is_open_ends_after_what_is_due_before_its_end_in_a_later_page(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("offer", "price", 8, "06:00", until="11:00")))
    warehouse.clock.starts = Clock.at("10:00").starts
    warehouse.run_job("job-0")
    warehouse.clock.starts = Clock.at("12:00").starts
    price = change("price", "price", 9, "10:50", expected=8)
    warehouse.schedule(MUG, *(change(f"c{hour}", at=f"{hour:02}:00") for hour in (7, 8, 9, 10)), price)

    warehouse.run_job("job-2")

    assert set(warehouse.statuses().values()) == {"APPLIED"}
    assert warehouse.items()[MUG]["unit_price"] == 9


def test_each_segment_has_the_shards_whose_number_is_its_own_modulo_the_segments(warehouse: Warehouse) -> None:
    items = items_with_work(20)
    warehouse.open_with(*items, segments=3)

    assert [warehouse.update(number) for number in range(3)] == [True, True, True]

    wanted = Counter(SHARDS.index(shard_of(item_id(each.key))) % 3 for each in items)
    assert {number: warehouse.segment(number).tally.items_updated for number in range(3)} == wanted
    assert set(warehouse.writes.values()) == {1}


def test_of_scope_all_the_slices_of_the_table_are_lanes_too_in_which_wrong_figures_are_repaired(
    warehouse: Warehouse,
) -> None:
    wrong = [item_attributes(4, sku=f"wrong-{number}", available=77) for number in range(6)]
    warehouse.open_with(*items_with_work(2), *wrong, item_attributes(sku="right"), scope="all", segments=2)

    assert [warehouse.update(number) for number in range(2)] == [True, True]

    run = warehouse.close()
    assert [warehouse.segment(number).lanes_begun for number in range(2)] == [64, 64]
    figures = ("items_scanned", "items_updated", "items_repaired", "changes_applied", "items_with_work")
    assert counted(run.tally, *figures) == (2 + 9, 8, 6, 2, 8)
    assert {item["available"] for item in warehouse.items().values()} == {15, 4, 10}
    assert warehouse.run_job("job-2").tally.items_scanned == 0


def test_several_lanes_are_worked_on_at_once(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), write_concurrency=3)
    all_are_here = threading.Barrier(3)

    def wait_for_the_others() -> None:
        all_are_here.wait(10)

    warehouse.before_write(*[wait_for_the_others] * 3)

    assert warehouse.update() is True

    assert (warehouse.on_hand(), warehouse.segment().tally.changes_applied) == ({15}, 3)


def test_a_window_is_settled_twice_and_each_time_counted(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1)
    warehouse.put(mug(change("sale", "price", 2, "11:00", until="13:00")))

    opened = warehouse.run_job("opens").tally
    warehouse.clock.goes_on(2 * 3600)
    closed = warehouse.run_job("closes").tally

    assert [counted(each, "changes_opened", "changes_applied") for each in (opened, closed)] == [(1, 0), (0, 1)]
    assert [each.lateness.longest for each in (opened, closed)] == [3600, 3600]
    assert [each.outcome for job in ("opens", "closes") for each in warehouse.jobs.settled(job)] == ["OPEN", "APPLIED"]


def test_progress_is_saved_whenever_a_page_is_settled_or_five_seconds_have_passed(warehouse: Warehouse) -> None:
    warehouse.open_with(mug(*FIVE_SALES), page_size=2)
    saved: list[tuple[int, int, bool]] = []
    save = warehouse.jobs.save_segment

    def remember(segment: Segment) -> Segment:
        saved.append((segment.lanes_begun, segment.tally.changes_applied, segment.call_is_open))
        return save(segment)

    with patch.object(warehouse.jobs, "save_segment", remember):
        warehouse.update()
        lane = SHARDS.index(shard_of(item_id(MUG))) + 1
        assert saved == [(lane, 5, True), (64, 5, False)]

        warehouse.close()
        saved.clear()
        warehouse.open("job-2", "all")
        warehouse.happens = lambda operation, _request: warehouse.clock.goes_on(2) if operation == "query" else None
        update_segment(warehouse.services, "job-2", 0)
    # Three shards take six seconds; the slices take no time.
    assert [lanes for lanes, _, _ in saved] == [*range(3, 64, 3), 128]


def test_a_job_that_has_ended_or_was_stopped_needs_no_further_call(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.jobs.request_stop("job-1", "the wrong prices")
    assert warehouse.update() is True
    assert warehouse.close().status is JobStatus.FAILED

    assert warehouse.update() is True
    assert warehouse.writes == {}


def test_an_unknown_job_or_segment_is_refused_and_leaves_no_record(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))

    for job_id, segment in (("job-9", 0), ("job-1", 1), ("job-1", -1), ("job-1", 10**30)):
        with pytest.raises(UnknownJobError, match=f"there is no job {job_id} with a segment {segment}"):
            update_segment(warehouse.services, job_id, segment)
    assert warehouse.segment() == Segment("job-1", 0)


def test_a_second_job_right_after_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5), item_attributes(4, sku="other", available=77))
    warehouse.run_job(scope="all")
    writes = warehouse.writes

    run = warehouse.run_job("job-2", scope="all")

    assert warehouse.writes == writes
    assert (run.status, run.tally.items_scanned, run.tally.items_with_work) == (JobStatus.SUCCEEDED, 6, 0)


def test_pages_are_smaller_under_a_write_rate(warehouse: Warehouse) -> None:
    twelve = [change(f"c{number:02}", "adjustment", "-0.5") for number in range(12)]
    warehouse.open_with(mug(*twelve), page_size=1000, max_write_rate=2, segments=2, function_timeout_seconds=40)
    asked: list[Request] = []
    warehouse.happens = lambda _operation, request: asked.append(request) if "Limit" in request else None

    warehouse.update()

    assert {request["Limit"] for request in asked} == {10}
    assert warehouse.update() is warehouse.update(1) is True


# Other writers, and answers that are lost


def test_a_change_is_applied_once_to_what_another_writer_left_whatever_becomes_of_the_answers() -> None:
    def sell(warehouse: Warehouse) -> None:
        warehouse.put(item_attributes(4, version=None))

    def first(write: bool, fault: Fault) -> Callable[[Warehouse], None]:
        def plan(warehouse: Warehouse) -> None:
            faults = iter([fault])
            warehouse.happens = lambda operation, request: (
                next(faults, None) if operation == WRITE and warehouse.is_write(operation, request) is write else None
            )

        return plan

    one = frozenset({0})
    faults: list[Fault] = [Refused(), RefusedInPart(one), AnswerLost(), AnswerLost(is_done=False), DoneTwice()]
    ways: dict[str, Callable[[Warehouse], None]] = {
        "sold": lambda warehouse: warehouse.before_write(lambda: sell(warehouse)),
        **{f"item: {fault}": first(True, fault) for fault in faults},
        **{f"record: {fault}": first(False, fault) for fault in faults},
    }
    ends = {}
    for name, happens in ways.items():
        warehouse = Warehouse()
        warehouse.open_with(mug(change("c1", "adjustment", 5)), scope="all")
        happens(warehouse)
        warehouse.update()
        run = warehouse.close()
        ends[name] = (warehouse.on_hand(), warehouse.statuses(), run.tally.changes_applied, run.tally_is_exact)

    # Where a record says already that this job has settled it, nobody counts it: it may have been another page.
    uncounted = {f"record: {fault}" for fault in (AnswerLost(), DoneTwice())}
    # The item had decided: whether this call or another one wrote it, nobody knows.
    not_exact = uncounted | {f"item: {fault}" for fault in (AnswerLost(), DoneTwice())}
    assert ends == {
        name: (
            {Decimal(9 if name == "sold" else 15)},
            {"c1": "APPLIED"},
            0 if name in uncounted else 1,
            name not in not_exact,
        )
        for name in ways
    }


def test_an_item_that_the_table_refuses_until_the_time_is_up_fails_and_the_next_job_settles_it(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(mug(change("c1", "adjustment", 5), change("c2")), page_size=1)
    warehouse.happens = lambda operation, request: (
        Refused("ProvisionedThroughputExceededException") if warehouse.is_write(operation, request) else None
    )

    warehouse.work_off(seconds=30)

    run = warehouse.close()
    (failure,) = warehouse.jobs.failures("job-1")
    assert (failure.key, failure.code) == (MUG, "ProvisionedThroughputExceededException")
    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert counted(run.tally, "items_failed", "oldest_overdue") == (1, moment("09:00"))
    assert run.tally.throttles > 3
    warehouse.all_is_well()
    assert warehouse.run_job("job-2").tally.changes_applied == 2


# Failures


def test_each_rejected_change_is_recorded_with_its_reason_and_stops_no_other(warehouse: Warehouse) -> None:
    due = change("c1", "adjustment", -11), change("c2", "colour"), change("c3", "adjustment", 1)
    warehouse.open_with(mug(*due), scope="all")

    warehouse.update()

    reasons = {each.change_id: each.code for each in warehouse.jobs.failures("job-1")}
    assert reasons == {"c1": "INSUFFICIENT_STOCK", "c2": "UNKNOWN_KIND"}
    figures = ("changes_applied", "changes_rejected", "items_troubled", "items_with_work", "items_failed")
    assert counted(warehouse.segment().tally, *figures) == (1, 2, 1, 1, 0)


def test_what_cannot_be_settled_is_a_failure_of_its_own_and_stops_no_other(warehouse: Warehouse) -> None:
    orphan = record_attributes(ItemKey("gone", "DC1"), change("c1"))
    misnamed = record_attributes(MUG, change("c2", at="08:30")) | {"item": "mug", "due_shard": "01"}
    timeless = record_attributes(MUG, change("c3")) | {"effective_at": "soon", "status": "OPEN"}
    binary = record_attributes(MUG, change("c5")) | {"kind": b"?"}
    warehouse.open_with(*items_with_work(3), mug(), unreadable("cup", change("c4")))
    put_items(warehouse.dynamodb.client, warehouse.tables.changes, [orphan, misnamed, timeless, binary])

    assert warehouse.update() is True

    failures = {(each.sku, each.change_id): each.code for each in warehouse.jobs.failures("job-1")}
    assert failures == {
        ("gone", None): "UNKNOWN_ITEM",
        ("mug", None): "MISNAMED_ITEM",
        ("mug", "c5"): "UNKNOWN_KIND",
        ("cup", None): "WRONG_TYPE",
    }
    tally = warehouse.segment().tally
    assert counted(tally, "items_failed", "changes_applied", "oldest_overdue") == (3, 4, moment("08:30"))


def test_a_negative_figure_that_another_writer_left_is_found_once_recorded_and_no_failure() -> None:
    found = {}
    for scope in ("due", "all"):
        warehouse = Warehouse()
        warehouse.put(mug(change("c1"), reserved=-1), item_attributes(-5, sku="cup"))

        run = warehouse.run_job(scope=scope)

        figures = ("items_negative", "items_failed", "changes_applied")
        names = {each.sku for each in warehouse.jobs.failures("job-1") if each.code == "NEGATIVE_FIGURE"}
        found[scope] = (run.status.value, counted(run.tally, *figures), names)

    assert found == {
        "due": ("SUCCEEDED", (1, 0, 1), {"mug"}),
        "all": ("SUCCEEDED", (2, 0, 1), {"mug", "cup"}),
    }


def test_of_scope_all_an_item_that_cannot_be_read_is_one_failure_and_its_change_overdue(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1", at="11:00")))

    tally = warehouse.run_job(scope="all").tally

    assert counted(tally, "items_failed", "oldest_overdue") == (1, moment("11:00"))


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
    warehouse.open_with(mug(*FIVE_SALES), *items_with_work(4))
    warehouse.every_write_takes(10)

    calls = warehouse.work_off(seconds=12)

    run = warehouse.close()
    assert (warehouse.items()[MUG]["on_hand"], warehouse.on_hand()) == (5, {5, 15})
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert counted(run.tally, "items_scanned", "changes_applied", "calls") == (1 + 4, 9, calls)
    assert calls >= 1 + 4
    assert len(list(warehouse.jobs.settled("job-1"))) == 9


def test_of_a_page_that_is_cut_short_each_item_is_counted_once_and_its_lane_goes_on_from_where_it_stood(
    warehouse: Warehouse,
) -> None:
    broken = next(each for each in map(unreadable_cup, range(300)) if shard_of(item_id(each.key)) == "25")
    warehouse.open_with(*in_shard_25(4), broken, page_size=4)
    warehouse.configure(page_size=5)
    warehouse.every_write_takes(10)
    figures = ("changes_applied", "items_failed")

    assert warehouse.update(seconds=9) is False
    segment = warehouse.segment()
    assert (counted(segment.tally, *figures), segment.cursors, segment.call_is_open) == ((2, 0), {25: {}}, False)
    assert set(warehouse.statuses().values()) == {"APPLIED", "PENDING"}

    assert warehouse.update() is True
    run = warehouse.close()
    assert (set(warehouse.writes.values()), sum(warehouse.writes.values())) == ({1}, 4)
    assert (counted(run.tally, *figures), run.tally_is_exact, run.error) == ((4, 1), True, None)


def test_of_a_slice_that_is_cut_short_each_item_is_counted_once(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_updater.jobs.pages.SLICES", 1)
    wrong = [item_attributes(4, sku=f"wrong-{number}", available=77) for number in range(3)]
    warehouse.open_with(*wrong, unreadable("cup"), scope="all", page_size=5)
    warehouse.every_write_takes(10)

    assert [warehouse.update(seconds=9), warehouse.update()] == [False, True]

    assert counted(warehouse.segment().tally, "items_repaired", "items_failed") == (3, 1)


def test_a_call_that_cannot_send_one_batch_says_what_to_do(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4))
    warehouse.happens = lambda operation, _request: (
        warehouse.clock.goes_on(10) if operation == "batch_get_item" else None
    )
    advice = "not one batch fitted into a call: lower PageSize or raise FunctionTimeoutSeconds"

    assert warehouse.update(seconds=8) is False  # it has looked into some shards where nothing is due
    with pytest.raises(NoProgressError, match=advice):
        warehouse.update(seconds=8)
    assert (warehouse.segment().tally.items_updated, warehouse.writes) == (0, {})
    assert str(warehouse.segment().error).startswith("NoProgressError: not one batch")

    warehouse.all_is_well()
    assert warehouse.update() is True
    assert warehouse.close().tally_is_exact is True


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
    assert run.tally.calls == 4
    assert 0 < run.tally.changes_applied <= 4
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert run.error == "stopped after 4 calls; the next job takes up what is left"
    assert run.tally.oldest_overdue == moment("09:00")
    assert warehouse.metrics.figures()["OldestOverdueSeconds"] >= 3 * 3600
    assert warehouse.run_job("job-2").tally.changes_applied == 40 - run.tally.changes_applied


# Workers that die, double, are stopped or lose the lease


def test_what_a_worker_settled_that_died_before_saving_is_not_counted_and_never_done_again() -> None:
    for is_done, decided in ((False, 2), (True, 1)):
        warehouse = Warehouse()
        warehouse.open_with(*items_with_work(3), page_size=1)
        warehouse.dies_at_write(2, is_done=is_done)
        with pytest.raises(ProcessDied):
            warehouse.update()
        warehouse.all_is_well()

        assert warehouse.update() is True

        # The first page was saved; of the second one at most the record was still to be marked.
        run = warehouse.close()
        assert (warehouse.on_hand(), set(warehouse.writes.values())) == ({15}, {1})
        figures = ("changes_applied", "items_updated")
        assert (*counted(run.tally, *figures), run.tally_is_exact) == (3, 1 + decided, False)
        assert set(warehouse.statuses().values()) == {"APPLIED"}


def test_of_two_calls_at_once_one_drops_its_tally(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4), page_size=3)
    second: list[bool] = []
    warehouse.before_write(lambda: second.append(warehouse.update()))

    assert (warehouse.update(), second) == (False, [True])

    run = warehouse.close()
    assert set(warehouse.writes.values()) == {1}
    assert (run.tally.changes_applied, run.tally.items_scanned, run.tally_is_exact) == (4, 4, False)


def test_a_call_that_was_overtaken_goes_on_from_the_truth(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(6))

    def overtake() -> None:
        warehouse.jobs.begin_call("job-1", 0)

    warehouse.before_write(overtake)

    assert (warehouse.update(), warehouse.segment().tally.items_updated) == (False, 0)
    assert (warehouse.update(), warehouse.on_hand()) == (True, {15})


def test_a_worker_whose_job_is_stopped_or_displaced_writes_no_further_batch_and_counts_exactly() -> None:
    def stopped(warehouse: Warehouse) -> None:
        warehouse.jobs.request_stop("job-1", "the wrong prices")
        warehouse.clock.goes_on(1)

    def taken_over(warehouse: Warehouse) -> None:
        warehouse.clock.goes_on(1_000)
        warehouse.jobs.take_lease("job-2", 300)

    ways = {"job job-1 was stopped": stopped, "the lease is held by job-2": taken_over}
    for reason, happens in ways.items():
        warehouse = Warehouse()
        warehouse.open_with(*in_shard_25(4))
        warehouse.configure(page_size=4)
        warehouse.before_write(lambda warehouse=warehouse, happens=happens: happens(warehouse))  # type: ignore[misc]  # mypy cannot infer it

        assert warehouse.update(seconds=10_000) is True

        # The batch that was on its way has happened, and its records say so.
        segment = warehouse.segment()
        assert (sum(warehouse.writes.values()), Counter(warehouse.statuses().values())["APPLIED"]) == (2, 2)
        assert (segment.error, segment.is_done, segment.call_is_open) == (reason, False, False)
        assert (segment.tally.changes_applied, segment.tally_is_exact) == (2, True)


def test_a_worker_that_waits_for_the_write_rate_looks_again_before_it_writes(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), page_size=1, max_write_rate=1)
    sleep = warehouse.clock.sleep

    def stop_meanwhile(seconds: float) -> None:
        warehouse.jobs.request_stop("job-1", "the wrong prices")
        sleep(seconds)

    with patch.object(warehouse.clock, "sleep", stop_meanwhile):
        warehouse.update()

    assert sum(warehouse.writes.values()) == 1


def test_a_refused_request_fails_the_call_and_the_next_one_goes_on(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(4), page_size=1)
    warehouse.before_write(lambda: None, lambda: Refused("AccessDeniedException"))

    with pytest.raises(ClientError, match="AccessDeniedException"):
        warehouse.update()
    assert "AccessDeniedException" in str(warehouse.segment().error)

    assert warehouse.update() is True
    assert (warehouse.segment().error, warehouse.segment().tally.items_updated) == (None, 4)


def test_the_lease_is_renewed_while_pages_are_worked_on_and_also_where_nothing_is_written(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.happens = lambda operation, _request: warehouse.clock.goes_on(100) if operation == "query" else None

    assert warehouse.update(seconds=1e6) is True

    assert warehouse.jobs.lease().held_until > warehouse.services.now()
