"""The job as a whole in one process: it ends like one in many calls."""

from inventory_updater.tables.records import JobStatus
from tests.builders import moment
from tests.fakes.warehouse import Warehouse, items_with_work
from tests.simulation.faults import Refused


def test_a_job_in_one_process_ends_like_one_in_many_calls(warehouse: Warehouse) -> None:
    warehouse.configure(segments=4, page_size=3)
    warehouse.put(*items_with_work(30))
    warehouse.every_write_takes(2)

    run = warehouse.run_job(call_seconds=5)

    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert run.tally.calls > 4
    assert run.tally.changes_applied == 30
    assert warehouse.jobs.lease().holder is None


def test_a_segment_that_fails_does_not_stop_the_others(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2)
    warehouse.put(*items_with_work(20))
    warehouse.before_write(lambda: Refused("AccessDeniedException"))

    run = warehouse.run_job()

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert str(run.error).startswith("segment 0: ClientError: An error occurred (AccessDeniedException)")
    assert 0 < run.tally.changes_applied < 20
    assert (run.failure_rate, run.tally.oldest_overdue) == (0.0, moment("09:00"))
    assert warehouse.jobs.lease().holder is None
