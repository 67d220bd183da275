"""Opening a job: who may begin, who waits, what is settled at once, and what becomes of a job that lost its lease."""

from collections import Counter
from dataclasses import replace
from unittest.mock import Mock, patch

import pytest

from inventory_updater.jobs.closing import AlertError, abandon_job, close_job
from inventory_updater.jobs.opening import Opened, open_job
from inventory_updater.tables.records import JobStatus, Run, Segment
from tests.builders import change, moment, unreadable
from tests.fakes.warehouse import Warehouse, counted, items_with_work, mug
from tests.simulation.faults import ProcessDied, Refused

DONE: Opened = {"outcome": "DONE"}
TO_THE_WORKERS: Opened = {"outcome": "OPENED", "segments": [0]}


def opened(warehouse: Warehouse, job_id: str = "job-1", *, seconds: float = 300.0) -> Opened:
    return open_job(warehouse.services, warehouse.request(job_id), warehouse.clock.countdown(seconds))


def requests_of(warehouse: Warehouse) -> Counter[str]:
    """How many requests opening makes; the 64 queries of what is due are not counted."""
    warehouse.dynamodb.calls.clear()
    assert opened(warehouse) == DONE
    published = Counter(metrics=len(warehouse.metrics.requests), results=len(warehouse.results.published))
    return warehouse.dynamodb.calls + published - Counter(query=64)


# A small job


def test_a_job_of_one_page_is_settled_recorded_and_closed_by_opening_it(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(2), mug(change("later", at="20:00")))

    assert opened(warehouse) == DONE

    run = warehouse.run()
    assert (run.status, run.tally_is_exact, run.finished_at) == (JobStatus.SUCCEEDED, True, moment("12:00"))
    assert counted(run.tally, "items_scanned", "items_updated", "changes_applied", "calls") == (2, 2, 2, 1)
    assert (run.tally.lateness.longest, run.metrics_published_at) == (3 * 3600, moment("12:00"))
    assert warehouse.statuses() == {"c0": "APPLIED", "c1": "APPLIED", "later": "PENDING"}
    assert sorted(each.change_id for each in warehouse.jobs.settled("job-1")) == ["c0", "c1"]
    assert (warehouse.segment(), warehouse.jobs.lease().holder) == (Segment("job-1", 0), None)
    # The state machine ends here; somebody who closes it all the same changes nothing.
    assert close_job(warehouse.services, warehouse.request()) is JobStatus.SUCCEEDED
    assert warehouse.run() == run


def test_an_idle_job_makes_eight_requests_beside_its_queries_and_one_with_work_those_of_its_page_too(
    warehouse: Warehouse,
) -> None:
    idle = Counter({"get_item": 1, "put_item": 1, "update_item": 5, "metrics": 1})
    page = Counter({"batch_get_item": 2, "batch_execute_statement": 2, "batch_write_item": 1, "results": 1})

    assert requests_of(warehouse) == idle
    warehouse = Warehouse()
    warehouse.put(*items_with_work(1))
    assert requests_of(warehouse) == idle + page


def test_what_fails_or_is_rejected_in_a_small_job_is_recorded_and_told_of(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1", at="10:30")), mug(change("c2", "adjustment", -99)))

    assert opened(warehouse) == DONE

    run = warehouse.run()
    assert (run.status, run.failure_rate) == (JobStatus.COMPLETED_WITH_FAILURES, 100.0)
    assert (run.tally.oldest_overdue, len(list(warehouse.jobs.failures("job-1")))) == (moment("10:30"), 2)
    assert len(warehouse.topic.sent) == 1


def test_a_small_job_says_that_what_it_settled_could_not_be_recorded(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse.put(mug(change("c1", "adjustment", -99)))
    monkeypatch.setattr(warehouse.jobs, "record_settled", Mock(side_effect=PermissionError("no BatchWriteItem")))

    assert opened(warehouse) == DONE

    run = warehouse.run()
    assert (run.tally.changes_rejected, run.tally_is_exact) == (1, True)
    assert run.error == "segment 0: failures could not be recorded: PermissionError: no BatchWriteItem"


def test_a_job_of_more_than_a_page_or_more_than_the_write_rate_lets_through_or_of_scope_all_goes_to_the_workers(
    warehouse: Warehouse,
) -> None:
    warehouse.put(*items_with_work(3))
    assert opened(warehouse) == TO_THE_WORKERS

    warehouse = Warehouse()
    warehouse.configure(page_size=100, max_write_rate=1, function_timeout_seconds=8)
    warehouse.put(*items_with_work(3))
    assert opened(warehouse) == TO_THE_WORKERS

    warehouse = Warehouse()
    assert open_job(warehouse.services, warehouse.request(scope="all")) == TO_THE_WORKERS
    assert (warehouse.run().status, warehouse.run().tally_is_exact) == (JobStatus.RUNNING, True)


def test_an_opening_that_dies_in_the_midst_is_finished_by_the_next_one_and_its_counts_are_lower_bounds(
    warehouse: Warehouse,
) -> None:
    warehouse.configure(batch_size=1)
    warehouse.put(*items_with_work(2))
    warehouse.dies_at_write(2, is_done=True)
    with pytest.raises(ProcessDied):
        opened(warehouse)
    warehouse.all_is_well()
    assert (warehouse.run().status, warehouse.run().tally_is_exact) == (JobStatus.RUNNING, False)

    assert opened(warehouse) == DONE

    run = warehouse.run()
    assert (warehouse.on_hand(), set(warehouse.writes.values())) == ({15}, {1})
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, False)
    assert counted(run.tally, "items_updated", "changes_applied") == (0, 2)


def test_a_small_job_that_is_out_of_time_leaves_the_rest_to_the_workers(warehouse: Warehouse) -> None:
    warehouse.configure(batch_size=1)
    warehouse.put(*items_with_work(2))
    warehouse.every_write_takes(10)

    assert opened(warehouse, seconds=9) == TO_THE_WORKERS
    assert (sum(warehouse.writes.values()), warehouse.run().status) == (1, JobStatus.RUNNING)
    warehouse.update()

    run = warehouse.close()
    assert (warehouse.on_hand(), set(warehouse.writes.values())) == ({15}, {1})
    assert (run.status, run.tally_is_exact, run.tally.changes_applied) == (JobStatus.SUCCEEDED, False, 1)


def test_a_small_job_that_is_stopped_writes_no_further_batch(warehouse: Warehouse) -> None:
    warehouse.configure(batch_size=1)
    warehouse.put(*items_with_work(2))

    def stop() -> None:
        warehouse.jobs.request_stop("job-1", "the wrong prices")
        warehouse.clock.goes_on(1)

    warehouse.before_write(stop)

    assert opened(warehouse)["outcome"] == "OPENED"
    assert warehouse.update() is True
    assert sorted(map(str, warehouse.statuses().values())) == ["APPLIED", "PENDING"]


def test_a_small_job_whose_alert_fails_is_closed_but_for_the_alert_which_closing_repeats(
    warehouse: Warehouse,
) -> None:
    warehouse.put(mug(change("c1", "adjustment", -99)))
    warehouse.topic.error = ConnectionError("no route")

    assert opened(warehouse)["outcome"] == "OPENED"
    assert (warehouse.run().status, warehouse.update()) == (JobStatus.COMPLETED_WITH_FAILURES, True)
    with pytest.raises(AlertError):
        warehouse.close()

    warehouse.topic.error = None
    assert warehouse.close().alerted_at == moment("12:00")
    assert (len(warehouse.topic.sent), len(warehouse.metrics.published)) == (1, 1)


def test_a_small_job_that_is_abandoned_while_it_settles_stays_abandoned(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(1))

    def abandon() -> None:
        warehouse.clock.goes_on(841)
        warehouse.jobs.take_lease("job-2", 300)
        abandon_job(warehouse.services, "job-1", "found without a live lease by job-2")

    warehouse.before_write(abandon)

    assert opened(warehouse)["outcome"] == "OPENED"
    assert (warehouse.close().status, warehouse.jobs.lease().holder) == (JobStatus.ABANDONED, "job-2")


# Who may begin


def test_opening_takes_the_lease_records_the_run_and_names_the_same_segments_each_time(warehouse: Warehouse) -> None:
    to_three: Opened = {"outcome": "OPENED", "segments": [0, 1, 2]}
    now = moment("12:00")
    warehouse.configure(segments=3)
    warehouse.put(*items_with_work(3))

    assert opened(warehouse) == to_three
    assert warehouse.run() == Run("job-1", JobStatus.RUNNING, "due", "manual", now, now, segments=3)
    lease = warehouse.jobs.lease()
    assert (lease.holder, lease.held_until) == ("job-1", moment("12:14"))

    warehouse.configure(segments=5)
    assert opened(warehouse) == to_three


def test_a_job_that_has_ended_or_was_stopped_is_not_opened_again(warehouse: Warehouse) -> None:
    warehouse.run_job()
    warehouse.put(*items_with_work(3))
    assert opened(warehouse, "job-2") == TO_THE_WORKERS
    warehouse.jobs.request_stop("job-2", "the wrong prices")

    # Without segments the state machine goes on to close, which says how the job ended.
    for job_id, status in (("job-2", JobStatus.FAILED), ("job-1", JobStatus.SUCCEEDED)):
        assert opened(warehouse, job_id) == {"outcome": "OPENED", "segments": []}
        assert close_job(warehouse.services, warehouse.request(job_id)) is status
        assert warehouse.jobs.lease().holder is None


def test_a_job_that_was_settled_and_never_told_of_is_told_of_by_the_next_one(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", -99)))
    with patch.object(warehouse.jobs, "note_finish", side_effect=ProcessDied), pytest.raises(ProcessDied):
        opened(warehouse)
    # Its opening is repeated, and then its execution is stopped.
    assert opened(warehouse) == {"outcome": "OPENED", "segments": []}
    assert (warehouse.run().status, warehouse.topic.sent) == (JobStatus.COMPLETED_WITH_FAILURES, [])

    warehouse.clock.goes_on(841)
    assert opened(warehouse, "job-2") == DONE

    assert len(warehouse.topic.sent) == 1
    assert warehouse.run().alerted_at is not None
    assert (warehouse.jobs.lease().displaced, len(warehouse.metrics.published)) == (frozenset(), 2)


def test_a_due_job_is_skipped_while_another_holds_the_lease(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3))

    assert opened(warehouse, "job-2") == {"outcome": "SKIPPED"}

    run = warehouse.run("job-2")
    assert (run.status, run.finished_at) == (JobStatus.SKIPPED, moment("12:00"))
    assert run.error == f"job job-1 holds the lease until {moment('12:14')}"
    assert warehouse.jobs.lease().holder == "job-1"
    assert warehouse.metrics.published == []


def test_an_all_job_waits_for_the_lease_as_long_as_it_is_told_to(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), all_wait_minutes=5)
    request = warehouse.request("job-2", "all")

    for seconds in (0, 299):
        warehouse.clock.goes_on(seconds)
        assert open_job(warehouse.services, request) == {"outcome": "WAIT"}
        assert warehouse.jobs.run("job-2") is None

    warehouse.clock.goes_on(1)
    assert open_job(warehouse.services, request) == {"outcome": "SKIPPED"}
    assert warehouse.run("job-2").status is JobStatus.SKIPPED


# A job that lost its lease


def test_a_job_found_without_a_live_lease_is_abandoned_with_what_it_had_done(warehouse: Warehouse) -> None:
    warehouse.open_with(*items_with_work(3), page_size=1)
    warehouse.every_write_takes(50)
    assert warehouse.update(seconds=60) is False

    warehouse.clock.goes_on(841)
    warehouse.configure(page_size=3)
    assert opened(warehouse, "job-2") == DONE

    run = warehouse.run()
    assert (run.status, run.error) == (JobStatus.ABANDONED, "found without a live lease by job-2")
    assert (run.tally.changes_applied, run.tally_is_exact, run.duration_seconds) == (1, True, 891)
    assert (warehouse.jobs.lease().displaced, warehouse.run("job-2").tally.changes_applied) == (frozenset(), 2)
    assert [metrics["JobsFailed"] for metrics in warehouse.metrics.published] == [1.0, 0.0]


def test_an_abandoned_job_says_that_a_call_was_broken_off_and_failures_could_not_be_recorded(
    warehouse: Warehouse,
) -> None:
    warehouse.open_with(*items_with_work(3))
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
    warehouse.open_with(*items_with_work(3))
    warehouse.clock.goes_on(840)

    assert opened(warehouse, "job-2") == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.RUNNING


def test_a_request_refused_for_good_fails_the_opening_and_the_next_one_goes_on(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(1))
    warehouse.before_write(lambda: Refused("AccessDeniedException"))
    with pytest.raises(Exception, match="AccessDeniedException"):
        opened(warehouse)

    assert opened(warehouse) == DONE
    assert (warehouse.on_hand(), warehouse.run().status) == ({15}, JobStatus.SUCCEEDED)
