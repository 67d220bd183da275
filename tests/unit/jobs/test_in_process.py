"""The job as a whole in one process: it ends like one in many calls; and rehearsed, it writes nothing."""

from decimal import Decimal
from unittest.mock import Mock

from inventory_updater.tables.records import JobStatus
from tests.builders import change, moment, unreadable
from tests.fakes.dynamodb import WRITE, failed_request
from tests.fakes.warehouse import Warehouse, counted, items_with_work, mug


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
    warehouse.before_write(Mock(side_effect=failed_request("AccessDeniedException")))

    run = warehouse.run_job()

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert str(run.error).startswith("segment 0: ClientError: An error occurred (AccessDeniedException)")
    assert 0 < run.tally.changes_applied < 20
    assert (run.failure_rate, run.tally.oldest_overdue) == (0.0, moment("09:00"))
    assert warehouse.jobs.lease().holder is None


def test_a_dry_run_counts_and_shows_what_it_would_do_and_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", 5), change("c2", "adjustment", -99, "10:00")), unreadable("cup"))
    before = {key: dict(item) for key, item in warehouse.inventory.items.items()}

    run = warehouse.run_job(scope="all", dry_run=True)

    assert warehouse.inventory.items == before
    assert warehouse.inventory.calls[WRITE] == 0
    assert (run.dry_run, run.status) == (True, JobStatus.COMPLETED_WITH_FAILURES)
    assert counted(run.tally, "items_updated", "items_failed", "changes_applied", "changes_rejected") == (1, 1, 1, 1)
    (sample,) = run.samples
    figures = {"on_hand": 10, "available": 10, "stock_value": Decimal("25.00"), "next_change_at": moment("09:00")}
    assert sample == {
        "sku": "mug",
        "location_id": "DC1",
        "before": {**figures, "version": 7},
        "after": {"on_hand": 15, "available": 15, "stock_value": Decimal("37.50"), "version": 8},
        "applied": ["c1"],
        "superseded": [],
        "rejected": ["c2"],
    }
    assert warehouse.metrics.published == []
    assert warehouse.jobs.lease().holder is None


def test_a_dry_run_keeps_twenty_samples_whatever_the_pages_and_segments(warehouse: Warehouse) -> None:
    warehouse.configure(segments=2, page_size=7)
    warehouse.put(*items_with_work(60))

    run = warehouse.run_job(dry_run=True)

    assert (len(run.samples), run.tally.items_updated) == (20, 60)
