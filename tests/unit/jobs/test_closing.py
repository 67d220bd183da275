"""Closing a job: how it ended, who is told, and that it is settled once."""

from unittest.mock import Mock, patch

import pytest
from botocore.exceptions import ClientError

from inventory_updater.jobs.closing import close_job
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.records import JobStatus
from tests.builders import change, moment, unreadable
from tests.fakes.dynamodb import failed_request
from tests.fakes.warehouse import Warehouse, items_with_work, mug


def test_a_job_without_trouble_succeeds(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), mug(change("later", at="20:00")))
    warehouse.clock.goes_on(30)
    warehouse.update()

    run = warehouse.close()

    assert (run.status, run.error, run.failure_rate) == (JobStatus.SUCCEEDED, None, 0.0)
    assert (run.finished_at, run.duration_seconds) == (moment("12:00:30"), 30)
    assert run.metrics_published_at == moment("12:00:30")
    assert (run.samples, warehouse.metrics.figures()["OldestOverdueSeconds"]) == ((), 0)
    assert warehouse.jobs.lease().holder is None


def test_the_failure_rate_is_the_share_of_items_of_which_anything_failed(warehouse: Warehouse) -> None:
    jobs = {
        25.0: [mug(change("c1", "adjustment", -99), change("c2", "adjustment", 1)), *items_with_work(3)],
        50.0: [unreadable("cup", change("c1")), *items_with_work(1)],
        100.0: [unreadable("jug", change("c1")), mug(change("c1", "adjustment", -99))],
    }
    for rate, items in jobs.items():
        warehouse.inventory.items.clear()
        warehouse.put(*items)

        run = warehouse.run_job(f"job-{rate}")

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
    del warehouse.inventory.items[ItemKey("cup", "DC1")]["on_hand"]

    assert warehouse.run_job("other reason").failure_rate == 100.0
    warehouse.clock.goes_on(2 * 24 * 3600)
    assert warehouse.run_job("two days later").failure_rate == 100.0


def test_a_rehearsal_takes_no_failure_away_from_the_job_that_comes_after_it(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1")))
    warehouse.run_job("rehearsal", dry_run=True)

    assert warehouse.run_job("real").failure_rate == 100.0


def test_a_segment_that_no_call_ever_reached_failed(warehouse: Warehouse) -> None:
    warehouse.open_with(segments=2)
    warehouse.update(0)

    run = warehouse.close()

    assert (run.status, run.error) == (JobStatus.COMPLETED_WITH_FAILURES, "segment 1: never finished")


def test_a_job_of_which_every_segment_failed_has_failed(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(2), segments=2)

    run = warehouse.close("States.Timeout: too slow")

    assert (run.status, run.failure_rate) == (JobStatus.FAILED, 100.0)
    assert run.error == "States.Timeout: too slow; segment 0: never finished; segment 1: never finished"
    said = {"JobsFailed": 1, "JobsFinished": 0, "FailureRate": 100, "OldestOverdueSeconds": 3 * 3600}
    assert warehouse.metrics.figures().items() >= said.items()
    assert warehouse.jobs.lease().holder is None


def test_a_job_that_could_not_be_opened_is_recorded_as_failed(warehouse: Warehouse) -> None:
    run = warehouse.close("Lambda.Unknown: killed")

    assert run.status is JobStatus.FAILED
    assert str(run.error).startswith("Lambda.Unknown: killed; ")
    assert warehouse.metrics.figures()["JobsFailed"] == 1


def test_closing_again_changes_nothing_and_publishes_nothing(warehouse: Warehouse) -> None:
    warehouse.open_with(mug(change("c1")))
    warehouse.update()
    first = warehouse.close()
    warehouse.clock.goes_on(60)
    warehouse.open("job-2")

    assert warehouse.close("a late error") == first
    assert len(warehouse.metrics.published) == 1
    assert warehouse.jobs.lease().holder == "job-2"


def test_a_close_repeated_goes_on_where_the_first_one_stopped(warehouse: Warehouse) -> None:
    warehouse.open()
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


def test_a_time_that_another_writer_spoilt_does_not_keep_a_job_from_closing(warehouse: Warehouse) -> None:
    spoilt = ("2026", "", "0000-00-00T00:00:00.000000Z", "2026-03-02 09:00")
    warehouse.put(*(unreadable(f"cup-{n}", change("c1")) | {"next_change_at": at} for n, at in enumerate(spoilt)))
    closed = warehouse.run_job(scope="all")
    warehouse.open("job-2")
    assert close_job(warehouse.services, warehouse.request("job-2"), "never updated") is JobStatus.FAILED

    assert closed.status is JobStatus.COMPLETED_WITH_FAILURES
    for run in (closed, warehouse.run("job-2")):
        assert (run.metrics_published_at, run.tally.oldest_overdue) == (moment("12:00"), None)


def test_an_index_that_cannot_be_read_does_not_keep_a_failed_job_from_closing(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.open_with(mug(change("c1")))
    warehouse.inventory.before = Mock(side_effect=failed_request("AccessDeniedException"))
    with pytest.raises(ClientError):
        warehouse.update()

    run = warehouse.close()

    assert (run.status, run.tally.oldest_overdue) == (JobStatus.FAILED, None)
    assert "AccessDeniedException" in str(run.error)
    assert run.metrics_published_at is not None
    assert warehouse.jobs.lease().holder is None
    assert "looking for overdue changes failed" in caplog.text


def test_the_oldest_change_of_an_item_that_failed_is_overdue(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1", at="11:00")), unreadable("pot", change("c2", at="10:30")))

    warehouse.run_job()

    assert warehouse.metrics.published[0]["OldestOverdueSeconds"] == 90 * 60
