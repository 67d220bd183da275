"""The job opened, rehearsed, closed, and as a whole in one process."""

from dataclasses import replace
from decimal import Decimal

import pytest
from botocore.exceptions import ClientError

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import change, moment
from tests.fakes.dynamodb import failed_request
from tests.fakes.warehouse import WRITE, Warehouse, counted, items_with_work, mug, unreadable

# Open


def test_opening_takes_the_lease_records_the_run_and_names_the_segments(warehouse: Warehouse) -> None:
    warehouse.configure(segments=3)

    opened = open_job(warehouse.services, warehouse.request())

    assert opened == {"outcome": "OPENED", "segments": [0, 1, 2]}
    assert warehouse.run() == Run(
        "job-1", JobStatus.RUNNING, "due", "manual", False, moment("12:00"), moment("12:00"), segments=3
    )
    lease = warehouse.jobs.lease()
    assert (lease.holder, lease.held_until) == ("job-1", moment("12:14"))


def test_opening_again_gives_the_same_answer_with_the_segments_of_the_first_time(warehouse: Warehouse) -> None:
    warehouse.configure(segments=3)
    warehouse.open()
    warehouse.configure(segments=5)

    assert open_job(warehouse.services, warehouse.request()) == {"outcome": "OPENED", "segments": [0, 1, 2]}


def test_a_job_that_has_ended_is_not_opened_again(warehouse: Warehouse) -> None:
    run_job(warehouse.services, warehouse.request())

    # Without segments the state machine goes on to close, which says how the job ended.
    assert open_job(warehouse.services, warehouse.request()) == {"outcome": "OPENED", "segments": []}
    assert close_job(warehouse.services, warehouse.request()) is JobStatus.SUCCEEDED
    assert warehouse.run().status is JobStatus.SUCCEEDED
    assert warehouse.jobs.lease().holder is None


def test_a_due_job_is_skipped_while_another_holds_the_lease(warehouse: Warehouse) -> None:
    warehouse.open("job-0")

    assert open_job(warehouse.services, warehouse.request()) == {"outcome": "SKIPPED"}

    run = warehouse.run()
    assert (run.status, run.finished_at) == (JobStatus.SKIPPED, moment("12:00"))
    assert run.error == f"job job-0 holds the lease until {moment('12:14')}"
    assert warehouse.jobs.lease().holder == "job-0"


def test_an_all_job_waits_for_the_lease_as_long_as_it_is_told_to(warehouse: Warehouse) -> None:
    warehouse.configure(all_wait_minutes=5)
    warehouse.open("job-0")
    request = warehouse.request(scope="all")

    assert open_job(warehouse.services, request) == {"outcome": "WAIT"}
    assert warehouse.jobs.run("job-1") is None

    warehouse.clock.goes_on(299)
    assert open_job(warehouse.services, request) == {"outcome": "WAIT"}

    warehouse.clock.goes_on(1)
    assert open_job(warehouse.services, request) == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.SKIPPED


def test_an_all_job_that_waited_opens_when_the_lease_is_free(warehouse: Warehouse) -> None:
    warehouse.open("job-0")
    request = warehouse.request(scope="all")
    assert open_job(warehouse.services, request) == {"outcome": "WAIT"}
    close_job(warehouse.services, replace(request, job_id="job-0"))

    assert open_job(warehouse.services, request)["outcome"] == "OPENED"


def test_a_dry_run_needs_no_lease_and_keeps_nobody_out(warehouse: Warehouse) -> None:
    warehouse.open("rehearsal", dry_run=True)
    assert warehouse.jobs.lease().holder is None

    warehouse.open("job-0")
    warehouse.open("another rehearsal", dry_run=True)
    assert warehouse.jobs.lease().holder == "job-0"


def test_a_job_found_without_a_live_lease_is_abandoned_with_what_it_had_done(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(3))
    warehouse.open()
    warehouse.every_write_takes(50)
    assert warehouse.update(seconds=60) is False

    warehouse.clock.goes_on(841)
    warehouse.open("job-2")

    run = warehouse.run()
    assert (run.status, run.error) == (JobStatus.ABANDONED, "found without a live lease by job-2")
    assert (run.tally.changes_applied, run.tally_is_exact) == (2, True)
    assert run.duration_seconds == 891
    assert warehouse.jobs.lease().holder == "job-2"
    assert warehouse.jobs.lease().displaced == frozenset()
    assert [metrics["JobsFailed"] for metrics in warehouse.metrics.published] == [1.0]


def test_an_abandoned_job_whose_worker_died_in_a_call_has_no_exact_tally(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.jobs.begin_call("job-1", 0)

    warehouse.clock.goes_on(841)
    warehouse.open("job-2")

    assert warehouse.run().tally_is_exact is False


def test_an_abandoned_job_says_that_its_failures_could_not_be_recorded(warehouse: Warehouse) -> None:
    warehouse.open()
    segment = warehouse.jobs.begin_call("job-1", 0)
    warehouse.jobs.save_segment(replace(segment, recording_error="PermissionError: no BatchWriteItem"))

    warehouse.clock.goes_on(841)
    warehouse.open("job-2")

    assert warehouse.run().error == (
        "found without a live lease by job-2; "
        "segment 0: failures could not be recorded: PermissionError: no BatchWriteItem"
    )


def test_a_lease_is_not_taken_from_a_job_before_it_ends(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.clock.goes_on(840)

    assert open_job(warehouse.services, warehouse.request("job-2")) == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.RUNNING


# Dry runs


def test_a_dry_run_counts_and_shows_what_it_would_do_and_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", 5), change("c2", "adjustment", -99, "10:00")), unreadable("cup"))
    before = {key: dict(item) for key, item in warehouse.inventory.items.items()}

    run = run_job(warehouse.services, warehouse.request(scope="all", dry_run=True))

    assert warehouse.inventory.items == before
    assert warehouse.inventory.calls[WRITE] == 0
    assert (run.dry_run, run.status) == (True, JobStatus.COMPLETED_WITH_FAILURES)
    assert counted(run.tally, "items_updated", "items_failed", "changes_applied", "changes_rejected") == {
        "items_updated": 1,
        "items_failed": 1,
        "changes_applied": 1,
        "changes_rejected": 1,
    }
    assert list(run.samples) == [
        {
            "sku": "mug",
            "location_id": "DC1",
            "before": {
                "on_hand": 10,
                "available": 10,
                "stock_value": Decimal("25.00"),
                "next_change_at": moment("09:00"),
                "version": 7,
            },
            "after": {"on_hand": 15, "available": 15, "stock_value": Decimal("37.50"), "version": 8},
            "applied": ["c1"],
            "superseded": [],
            "rejected": ["c2"],
        }
    ]
    assert warehouse.metrics.published == []
    assert warehouse.jobs.lease().holder is None


def test_a_dry_run_keeps_twenty_samples_whatever_the_pages_and_segments(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2, page_size=7)
    warehouse.put(*items_with_work(60))

    run = run_job(warehouse.services, warehouse.request(dry_run=True))

    assert len(run.samples) == 20
    assert run.tally.items_updated == 60


def test_the_samples_of_a_segment_are_bounded_over_its_calls(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=12)
    warehouse.put(*items_with_work(60))
    warehouse.open(dry_run=True)
    warehouse.inventory.before = lambda _operation, _request: warehouse.clock.goes_on(10)

    while not warehouse.update(seconds=15):
        pass

    assert warehouse.segment().call == 5
    assert len(warehouse.segment().samples) == 20


# Close


def test_a_job_without_trouble_succeeds(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(3))
    warehouse.open()
    warehouse.clock.goes_on(30)
    warehouse.update()

    run = warehouse.close()

    assert (run.status, run.error, run.failure_rate) == (JobStatus.SUCCEEDED, None, 0.0)
    assert (run.finished_at, run.duration_seconds) == (moment("12:00:30"), 30)
    assert run.metrics_published_at == moment("12:00:30")
    assert warehouse.jobs.lease().holder is None


@pytest.mark.parametrize(
    ("items", "rate"),
    [
        ([mug(change("c1", "adjustment", -99)), *items_with_work(3)], 25.0),
        ([mug(change("c1", "adjustment", -99), change("c2", "adjustment", 1)), *items_with_work(3)], 25.0),
        ([unreadable("cup", change("c1")), *items_with_work(1)], 50.0),
        ([unreadable("cup", change("c1"))], 100.0),
        ([mug(change("c1", "adjustment", -99))], 100.0),
    ],
)
def test_a_failed_item_or_rejected_change_completes_the_job_with_failures(
    warehouse: Warehouse, items: list[dict[str, object]], rate: float
) -> None:
    warehouse.put(*items)

    run = run_job(warehouse.services, warehouse.request())

    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, rate)


def test_a_segment_that_failed_for_good_does_not_stop_the_others(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2)
    warehouse.put(*items_with_work(20))
    warehouse.open()
    warehouse.before_write(lambda: (_ for _ in ()).throw(failed_request("AccessDeniedException")))
    with pytest.raises(ClientError):
        warehouse.update(0)
    warehouse.update(1)

    run = warehouse.close()

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert str(run.error).startswith("segment 0: ClientError: An error occurred (AccessDeniedException)")
    assert run.failure_rate == 0.0
    assert run.tally.oldest_overdue == moment("09:00")


def test_a_segment_that_no_call_ever_reached_failed(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2)
    warehouse.open()
    warehouse.update(0)

    run = warehouse.close()

    assert (run.status, run.error) == (JobStatus.COMPLETED_WITH_FAILURES, "segment 1: never finished")


def test_a_job_of_which_every_segment_failed_has_failed(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2)
    warehouse.put(*items_with_work(2))
    warehouse.open()

    run = warehouse.close("States.Timeout: too slow")

    assert (run.status, run.failure_rate) == (JobStatus.FAILED, 100.0)
    assert run.error == "States.Timeout: too slow; segment 0: never finished; segment 1: never finished"
    assert warehouse.metrics.published[0]["JobsFailed"] == 1
    assert warehouse.jobs.lease().holder is None


def test_a_job_that_could_not_be_opened_is_recorded_as_failed(warehouse: Warehouse) -> None:
    run = warehouse.close("Lambda.Unknown: killed")

    assert run.status is JobStatus.FAILED
    assert str(run.error).startswith("Lambda.Unknown: killed; ")


def test_closing_again_changes_nothing_and_publishes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1")))
    warehouse.open()
    warehouse.update()
    first = warehouse.close()
    warehouse.clock.goes_on(60)
    warehouse.open("job-2")

    assert warehouse.close("a late error") == first
    assert len(warehouse.metrics.published) == 1
    assert warehouse.jobs.lease().holder == "job-2"


def test_a_close_repeated_goes_on_where_the_first_one_stopped(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.open()
    warehouse.update()
    with monkeypatch.context() as broken:
        broken.setattr(warehouse.jobs, "mark_run", lambda *_run, **_marks: (_ for _ in ()).throw(TimeoutError))
        with pytest.raises(TimeoutError):
            warehouse.close()
    assert (warehouse.run().status, warehouse.jobs.lease().holder) == (JobStatus.SUCCEEDED, "job-1")

    warehouse.clock.goes_on(60)
    run = warehouse.close()

    assert run.finished_at == moment("12:00")
    assert run.metrics_published_at == moment("12:01")
    assert len(warehouse.metrics.published) == 2  # at least once: the first time was not marked
    assert warehouse.jobs.lease().holder is None


def test_metrics_that_cannot_be_published_do_not_fail_the_job_but_are_visible(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.metrics.error = ConnectionError("no route")
    warehouse.open()
    warehouse.update()

    run = warehouse.close()

    assert (run.status, run.metrics_published_at) == (JobStatus.SUCCEEDED, None)
    assert run.metrics_error == "ConnectionError: no route"
    assert "publishing metrics failed" in caplog.text
    assert warehouse.jobs.lease().holder is None


def test_metrics_that_failed_are_published_by_the_next_close(warehouse: Warehouse) -> None:
    warehouse.metrics.error = ConnectionError("no route")
    warehouse.open()
    warehouse.update()
    warehouse.close()
    warehouse.metrics.error = None

    run = warehouse.close()

    assert run.metrics_published_at == moment("12:00")
    assert len(warehouse.metrics.published) == 1


def test_skipped_jobs_publish_nothing(warehouse: Warehouse) -> None:
    warehouse.open("job-0")
    open_job(warehouse.services, warehouse.request())

    assert warehouse.metrics.published == []


@pytest.mark.parametrize("next_change_at", ["2026", "", "0000-00-00T00:00:00.000000Z", "2026-03-02 09:00"])
def test_a_time_that_another_writer_spoilt_does_not_keep_a_job_from_closing(
    warehouse: Warehouse, next_change_at: str
) -> None:
    warehouse.put(unreadable("cup", change("c1")) | {"next_change_at": next_change_at})
    warehouse.open(scope="all")
    warehouse.update()

    run = warehouse.close()

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert run.metrics_published_at is not None
    assert run.tally.oldest_overdue is None


def test_a_spoilt_time_in_the_index_does_not_keep_a_failed_job_from_closing(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1")) | {"next_change_at": "2026"})
    warehouse.open()

    run = warehouse.close("never updated")

    assert (run.status, run.tally.oldest_overdue) == (JobStatus.FAILED, None)
    assert run.metrics_published_at is not None


def test_an_index_that_cannot_be_read_does_not_keep_a_failed_job_from_closing(
    warehouse: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    warehouse.put(mug(change("c1")))
    warehouse.open()
    warehouse.inventory.before = lambda _operation, _request: (_ for _ in ()).throw(
        failed_request("AccessDeniedException")
    )
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

    run_job(warehouse.services, warehouse.request())

    assert warehouse.metrics.published[0]["OldestOverdueSeconds"] == 90 * 60


# The whole job


def test_a_job_in_one_process_ends_like_one_in_many_calls(warehouse: Warehouse) -> None:
    warehouse.configure(segments=4, page_size=3)
    warehouse.put(*items_with_work(30))
    warehouse.every_write_takes(2)

    run = run_job(warehouse.services, warehouse.request(), call_seconds=5)

    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert run.tally.calls > 4
    assert run.tally.changes_applied == 30
    assert warehouse.jobs.lease().holder is None


def test_a_job_in_one_process_that_is_skipped_says_so(warehouse: Warehouse) -> None:
    warehouse.open("job-0")

    assert run_job(warehouse.services, warehouse.request()).status is JobStatus.SKIPPED


def test_a_segment_that_fails_in_one_process_does_not_stop_the_others_either(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2)
    warehouse.put(*items_with_work(20))
    warehouse.before_write(lambda: (_ for _ in ()).throw(failed_request("AccessDeniedException")))

    run = run_job(warehouse.services, warehouse.request())

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert str(run.error).startswith("segment 0: ClientError")
    assert run.tally.changes_applied > 0
    assert warehouse.jobs.lease().holder is None
