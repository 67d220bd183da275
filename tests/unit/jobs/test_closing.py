"""Closing a job: how it ended, who is told, and that it is settled once."""

from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from inventory_updater.jobs.closing import abandon_job, close_job
from inventory_updater.tables.records import JobStatus, Tally
from tests.builders import change, item_attributes, moment, record_attributes, unreadable
from tests.fakes.warehouse import MUG, Warehouse, counted, items_with_work, mug
from tests.shop import put_items
from tests.simulation.faults import Refused, Request


def test_a_job_without_trouble_succeeds(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), mug(change("later", at="20:00")))
    warehouse.clock.goes_on(30)
    warehouse.update()
    warehouse.dynamodb.calls.clear()

    run = warehouse.close()

    assert (run.status, run.error, run.failure_rate) == (JobStatus.SUCCEEDED, None, 0.0)
    assert (run.finished_at, run.duration_seconds) == (moment("12:00:30"), 30)
    assert (run.metrics_published_at, run.alerted_at) == (moment("12:00:30"), moment("12:00:30"))
    assert warehouse.metrics.figures()["OldestOverdueSeconds"] == 0
    assert warehouse.jobs.lease().holder is None
    # Settled, finished, marked once for metrics and people, and the lease.
    assert warehouse.dynamodb.calls["update_item"] == 4


def test_the_failure_rate_is_the_share_of_items_of_which_anything_failed() -> None:
    jobs = {
        25.0: [mug(change("c1", "adjustment", -99), change("c2", "adjustment", 1)), *items_with_work(3)],
        50.0: [unreadable("cup", change("c1")), *items_with_work(1)],
        100.0: [unreadable("jug", change("c1")), mug(change("c1", "adjustment", -99))],
    }
    for rate, items in jobs.items():
        warehouse = Warehouse()
        warehouse.put(*items)

        run = warehouse.run_job()

        assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, rate)


def test_an_item_that_stays_broken_counts_in_the_failure_rate_the_first_time_only(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1")))
    for number, rate in enumerate((100.0, 0.0, 0.0)):
        warehouse.put(*items_with_work(number))
        run = warehouse.run_job(f"job-{number}")
        warehouse.clock.goes_on(300)

        assert (run.failure_rate, run.tally.items_failed, run.status) == (rate, 1, JobStatus.COMPLETED_WITH_FAILURES)


def test_an_item_that_fails_for_another_reason_or_again_after_two_good_days_is_a_new_failure(
    warehouse: Warehouse,
) -> None:
    warehouse.put(unreadable("cup", change("c1")))
    warehouse.run_job("first")
    warehouse.put(item_attributes(None, sku="cup"))

    assert warehouse.run_job("other reason").failure_rate == 100.0
    warehouse.clock.goes_on(2 * 24 * 3600)
    assert warehouse.run_job("two days later").failure_rate == 100.0


def test_a_segment_that_no_call_ever_reached_failed(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), segments=2)
    warehouse.update(0)

    run = warehouse.close()

    assert (run.status, run.error) == (JobStatus.COMPLETED_WITH_FAILURES, "segment 1: never finished")


def test_a_job_of_which_every_segment_failed_has_failed(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), segments=2)

    run = warehouse.close("States.Timeout: too slow")

    assert (run.status, run.failure_rate) == (JobStatus.FAILED, 100.0)
    assert run.error == "States.Timeout: too slow; segment 0: never finished; segment 1: never finished"
    said = {"JobsFailed": 1, "FailureRateToAlarm": 100, "OldestOverdueSeconds": 3 * 3600}
    assert warehouse.metrics.figures().items() >= said.items()
    assert warehouse.jobs.lease().holder is None


def test_a_job_that_could_not_be_opened_is_recorded_as_failed(warehouse: Warehouse) -> None:
    run = warehouse.close("Lambda.Unknown: killed")

    assert run.status is JobStatus.FAILED
    assert str(run.error).startswith("Lambda.Unknown: killed; ")
    assert warehouse.metrics.figures()["JobsFailed"] == 1


def test_closing_again_changes_nothing_and_publishes_nothing(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.update()
    first = warehouse.close()
    warehouse.clock.goes_on(60)
    warehouse.open("job-2", "all")

    assert warehouse.close("a late error") == first
    assert len(warehouse.metrics.published) == 1
    assert warehouse.jobs.lease().holder == "job-2"


def test_a_close_repeated_goes_on_where_the_first_one_stopped(warehouse: Warehouse) -> None:
    warehouse.open(scope="all")
    warehouse.update()
    with patch.object(warehouse.jobs, "mark_run", side_effect=TimeoutError), pytest.raises(TimeoutError):
        warehouse.close()
    assert (warehouse.run().status, warehouse.jobs.lease().holder) == (JobStatus.SUCCEEDED, "job-1")

    warehouse.clock.goes_on(60)
    run = warehouse.close()

    assert (run.finished_at, run.metrics_published_at) == (moment("12:00"), moment("12:01"))
    assert len(warehouse.metrics.published) == 2  # at least once: the first time was not marked
    assert warehouse.jobs.lease().holder is None


def test_metrics_that_cannot_be_published_are_visible_and_published_by_the_next_close(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.metrics.error = ConnectionError("no route")
    run = warehouse.run_job()

    assert (run.status, run.metrics_published_at) == (JobStatus.SUCCEEDED, None)
    assert run.metrics_error == "ConnectionError: no route"
    assert "publishing metrics failed" in caplog.text
    assert warehouse.jobs.lease().holder is None

    warehouse.metrics.error = None
    assert warehouse.close().metrics_published_at == moment("12:00")
    assert len(warehouse.metrics.published) == 1


def test_an_abandoned_job_is_settled_once_with_what_it_had_done_and_an_unknown_one_not_at_all(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.update()

    run = abandon_job(warehouse.services, "job-1", "stopped by hand")

    assert run == warehouse.run() == abandon_job(warehouse.services, "job-1", "again")
    assert (run.status, run.error, run.finished_at) == (JobStatus.ABANDONED, "stopped by hand", moment("12:00"))
    assert counted(run.tally, "changes_applied", "calls") == (3, 1)
    assert abandon_job(warehouse.services, "job-9", "?") is None
    assert close_job(warehouse.services, warehouse.request()) is JobStatus.ABANDONED


# What is overdue


def test_the_oldest_change_of_an_item_that_failed_is_overdue(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1", at="11:00")), unreadable("pot", change("c2", at="10:30")))

    warehouse.run_job()

    assert warehouse.metrics.published[0]["OldestOverdueSeconds"] == 90 * 60


def test_a_job_that_failed_says_so_too_where_more_is_due_in_one_moment_than_one_request_reads(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(mug(*(change(f"c{number:03}", at="08:00") for number in range(150))))

    assert warehouse.close().tally.oldest_overdue == moment("08:00")


def test_a_job_that_failed_says_since_when_something_is_due_though_the_index_is_behind_and_as_far_as_time_allows(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(mug(change("c1", at="08:00")), *items_with_work(3), segments=2)
    warehouse.put(mug(change("c1", at="08:00"), change("c2", at="08:30")))
    put_items(
        warehouse.dynamodb.client,
        warehouse.tables.changes,
        [record_attributes(MUG, change("c1", at="08:00"), status="APPLIED")],
    )
    warehouse.dynamodb.lag = 1  # the index says that c1 is still pending

    assert warehouse.close().tally.oldest_overdue == moment("08:30")

    warehouse = Warehouse()
    warehouse.open_with(*items_with_work(3))
    warehouse.happens = lambda _operation, request: warehouse.clock.goes_on(1) if "IndexName" in request else None
    close_job(warehouse.services, warehouse.request(), "killed", warehouse.clock.countdown(10))
    assert warehouse.clock.seconds == 5  # half of the time


def test_a_time_that_another_writer_spoilt_keeps_no_job_from_closing_and_no_metrics_from_being_published(
    warehouse: Warehouse,
) -> None:
    spoilt = ("2026", "0000-00-00T00:00:00.000000Z", "2026-03-02 09:00")
    keys = [unreadable(f"cup-{number}") for number in range(len(spoilt))]
    warehouse.put(*keys)
    put_items(
        warehouse.dynamodb.client,
        warehouse.tables.changes,
        [
            record_attributes(item.key, change("c1")) | {"due_at": at, "effective_at": at}
            for item, at in zip(keys, spoilt, strict=True)
        ],
    )
    runs = {scope: warehouse.run_job(scope, scope) for scope in ("due", "all")}
    warehouse.open("job-1")
    runs["failed"] = warehouse.close("never updated")

    assert [run.status.value for run in runs.values()] == ["COMPLETED_WITH_FAILURES"] * 2 + ["FAILED"]
    for run in runs.values():
        assert (run.metrics_published_at, run.tally.oldest_overdue) == (moment("12:00"), None)


def test_an_index_that_cannot_be_read_does_not_keep_a_failed_job_from_closing(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.open_with(*items_with_work(3))

    def denied(_operation: str, request: Request) -> Refused | None:
        return Refused("AccessDeniedException") if "IndexName" in request else None

    warehouse.happens = denied
    with pytest.raises(ClientError):
        warehouse.update()

    run = warehouse.close()

    assert (run.status, run.tally) == (JobStatus.FAILED, Tally(calls=1))
    assert "AccessDeniedException" in str(run.error)
    assert run.metrics_published_at is not None
    assert warehouse.jobs.lease().holder is None
    assert "looking for overdue changes failed" in caplog.text
