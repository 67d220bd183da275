"""Opening a job: who may begin, who waits, and what becomes of a job that lost its lease."""

from dataclasses import replace

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import moment
from tests.fakes.warehouse import Warehouse, items_with_work


def test_opening_takes_the_lease_records_the_run_and_names_the_same_segments_each_time(warehouse: Warehouse) -> None:
    opened = {"outcome": "OPENED", "segments": [0, 1, 2]}
    now = moment("12:00")
    warehouse.configure(segments=3)

    assert open_job(warehouse.services, warehouse.request()) == opened
    assert warehouse.run() == Run("job-1", JobStatus.RUNNING, "due", "manual", False, now, now, segments=3)
    lease = warehouse.jobs.lease()
    assert (lease.holder, lease.held_until) == ("job-1", moment("12:14"))

    warehouse.configure(segments=5)
    assert open_job(warehouse.services, warehouse.request()) == opened


def test_a_job_that_has_ended_is_not_opened_again(warehouse: Warehouse) -> None:
    warehouse.run_job()

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
    assert warehouse.metrics.published == []


def test_an_all_job_waits_for_the_lease_as_long_as_it_is_told_to(warehouse: Warehouse) -> None:
    warehouse.configure(all_wait_minutes=5)
    warehouse.open("job-0")
    request = warehouse.request(scope="all")

    for seconds in (0, 299):
        warehouse.clock.goes_on(seconds)
        assert open_job(warehouse.services, request) == {"outcome": "WAIT"}
        assert warehouse.jobs.run("job-1") is None

    warehouse.clock.goes_on(1)
    assert open_job(warehouse.services, request) == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.SKIPPED


def test_a_dry_run_needs_no_lease_and_keeps_nobody_out(warehouse: Warehouse) -> None:
    warehouse.open("rehearsal", dry_run=True)
    assert warehouse.jobs.lease().holder is None

    warehouse.open("job-0")
    warehouse.open("another rehearsal", dry_run=True)
    assert warehouse.jobs.lease().holder == "job-0"


def test_a_job_found_without_a_live_lease_is_abandoned_with_what_it_had_done(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))
    warehouse.every_write_takes(50)
    assert warehouse.update(seconds=60) is False

    warehouse.clock.goes_on(841)
    warehouse.open("job-2")

    run = warehouse.run()
    assert (run.status, run.error) == (JobStatus.ABANDONED, "found without a live lease by job-2")
    assert (run.tally.changes_applied, run.tally_is_exact, run.duration_seconds) == (2, True, 891)
    assert (warehouse.jobs.lease().holder, warehouse.jobs.lease().displaced) == ("job-2", frozenset())
    assert [metrics["JobsFailed"] for metrics in warehouse.metrics.published] == [1.0]


def test_an_abandoned_job_says_that_a_call_was_broken_off_and_failures_could_not_be_recorded(
    warehouse: Warehouse,
) -> None:
    warehouse.open()
    segment = warehouse.jobs.begin_call("job-1", 0)
    warehouse.jobs.save_segment(replace(segment, recording_error="PermissionError: no BatchWriteItem"))

    warehouse.clock.goes_on(841)
    warehouse.open("job-2")

    assert warehouse.run().tally_is_exact is False
    assert warehouse.run().error == (
        "found without a live lease by job-2; "
        "segment 0: failures could not be recorded: PermissionError: no BatchWriteItem"
    )


def test_a_lease_is_not_taken_from_a_job_before_it_ends(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.clock.goes_on(840)

    assert open_job(warehouse.services, warehouse.request("job-2")) == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.RUNNING
