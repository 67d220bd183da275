"""The job's steps against an inventory in memory, a jobs table that moto keeps, and a clock that stands still."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from inventory_updater.inventory_table import InventoryTable
from inventory_updater.job import JobRequest, close_job, open_job, run_job
from inventory_updater.job_table import JobTable
from inventory_updater.records import Failure, JobStatus, Run, Segment, Tally
from inventory_updater.services import Services
from inventory_updater.settings import Settings
from inventory_updater.stock import Change, ItemKey, read_time
from inventory_updater.worker import NoProgressError, UnknownJobError, update_segment
from tests.builders import change, item_attributes, moment
from tests.engines import table_definition
from tests.fakes.cloudwatch import RecordingCloudWatch
from tests.fakes.dynamodb import InMemoryInventory, Request, failed_request, lost_answer

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MUG = ItemKey("mug", "DC1")
WRITE = "batch_execute_statement"


@dataclass
class Clock:
    """A clock that only the test moves; the monotonic one goes along."""

    moment: datetime = field(default_factory=lambda: read_time(moment("12:00")))
    seconds: float = 0.0

    def __call__(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def goes_on(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)
        self.seconds += seconds

    def countdown(self, seconds: float) -> Callable[[], float]:
        end = self.seconds + seconds
        return lambda: end - self.seconds


class Warehouse:
    """Everything that a job works with, and the job of the tests, ``job-1``."""

    def __init__(self, client: "DynamoDBClient", jobs_table: str) -> None:
        self.clock = Clock()
        self.inventory = InMemoryInventory()
        self.metrics = RecordingCloudWatch()
        self.jobs = JobTable(client, jobs_table, retention_days=30, clock=self.clock)
        self.settings = Settings("test", "inventory", "jobs", segments=1, page_size=2, batch_size=2)

    def configure(self, **settings: int) -> None:
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]  # none of them is text

    def put(self, *items: Mapping[str, object]) -> None:
        self.inventory.items |= InMemoryInventory(items).items

    @property
    def services(self) -> Services:
        return Services(
            InventoryTable(self.inventory.client, "inventory"),
            self.jobs,
            self.metrics.client,
            self.settings,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

    def request(self, job_id: str = "job-1", scope: str = "due", *, dry_run: bool = False) -> JobRequest:
        now = self.services.now()
        return JobRequest(job_id, now, scope, now, dry_run)  # type: ignore[arg-type]  # one of the two scopes

    def open(self, job_id: str = "job-1", scope: str = "due", *, dry_run: bool = False) -> None:
        assert open_job(self.services, self.request(job_id, scope, dry_run=dry_run))["outcome"] == "OPENED"

    def update(self, segment: int = 0, seconds: float = 900.0) -> bool:
        return update_segment(self.services, "job-1", segment, self.clock.countdown(seconds))

    def close(self, error: str = "") -> Run:
        close_job(self.services, self.request(), error)
        return self.run()

    def run(self, job_id: str = "job-1") -> Run:
        run = self.jobs.run(job_id)
        assert run is not None
        return run

    def segment(self, number: int = 0) -> Segment:
        return self.jobs.segment("job-1", number)

    def on_hand(self, key: ItemKey = MUG) -> object:
        return self.inventory.items[key]["on_hand"]

    def before_write(self, *hooks: Callable[[], object]) -> None:
        """Let these happen just before the first, the second, ... batch."""
        waiting = iter(hooks)

        def before(operation: str, _request: Request) -> None:
            if operation == WRITE and (hook := next(waiting, None)):
                hook()

        self.inventory.before = before

    def every_write_takes(self, *seconds: float) -> None:
        """Let the first batches take these seconds and the rest the last of them."""
        durations = itertools.chain(seconds, itertools.repeat(seconds[-1]))
        self.inventory.before = lambda operation, _request: (
            self.clock.goes_on(next(durations)) if operation == WRITE else None
        )

    def lose_next_answer(self) -> None:
        losses = iter([lost_answer()])

        def after(operation: str, _request: Request) -> None:
            if operation == WRITE and (loss := next(losses, None)):
                raise loss

        self.inventory.after = after


@pytest.fixture(scope="module")
def moto_client() -> "Iterator[DynamoDBClient]":
    with mock_aws():
        yield boto3.client("dynamodb", region_name="eu-central-1")


@pytest.fixture
def warehouse(moto_client: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    monkeypatch.setattr("inventory_updater.inventory_table.random.uniform", lambda _low, _high: 0.0)
    definition = table_definition("JobsTable", "test")
    moto_client.create_table(**definition)
    yield Warehouse(moto_client, definition["TableName"])
    moto_client.delete_table(TableName=definition["TableName"])


def mug(*pending: Change, **rest: Any) -> dict[str, object]:
    return item_attributes(10, pending=pending, **rest)


def items_with_work(count: int) -> list[dict[str, object]]:
    return [item_attributes(10, sku=f"sku-{n:03}", pending=[change(f"c{n}", "adjustment", 5)]) for n in range(count)]


def unreadable(sku: str, *pending: Change) -> dict[str, object]:
    return item_attributes(sku=sku, pending=pending) | {"on_hand": "many"}


def counted(tally: Tally, *names: str) -> dict[str, object]:
    return {name: getattr(tally, name) for name in names}


# Open


def test_opening_takes_the_lease_records_the_run_and_names_the_segments(warehouse: Warehouse) -> None:
    warehouse.configure(segments=3)

    opened = open_job(warehouse.services, warehouse.request())

    assert opened == {"outcome": "OPENED", "segments": [0, 1, 2]}
    assert warehouse.run() == Run(
        "job-1", JobStatus.RUNNING, "due", "manual", False, moment("12:00"), moment("12:00"), segments=3
    )
    lease = warehouse.jobs.lease()
    assert (lease.holder, lease.held_until) == ("job-1", moment("12:08"))


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
    assert run.error == f"job job-0 holds the lease until {moment('12:08')}"
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

    warehouse.clock.goes_on(481)
    warehouse.open("job-2")

    run = warehouse.run()
    assert (run.status, run.error) == (JobStatus.ABANDONED, "found without a live lease by job-2")
    assert (run.tally.changes_applied, run.tally_is_exact) == (2, True)
    assert run.duration_seconds == 531
    assert warehouse.jobs.lease().holder == "job-2"
    assert warehouse.jobs.lease().displaced == frozenset()
    assert [metrics["JobsFailed"] for metrics in warehouse.metrics.published] == [1.0]


def test_an_abandoned_job_whose_worker_died_in_a_call_has_no_exact_tally(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.jobs.begin_call("job-1", 0)

    warehouse.clock.goes_on(481)
    warehouse.open("job-2")

    assert warehouse.run().tally_is_exact is False


def test_a_lease_is_not_taken_from_a_job_before_it_ends(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.clock.goes_on(480)

    assert open_job(warehouse.services, warehouse.request("job-2")) == {"outcome": "SKIPPED"}
    assert warehouse.run().status is JobStatus.RUNNING


# Update: what it does


def test_a_segment_is_worked_off_page_by_page(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5))
    warehouse.open()

    assert warehouse.update() is True

    assert {item["on_hand"] for item in warehouse.inventory.items.values()} == {Decimal(15)}
    assert {item["last_write_id"] for item in warehouse.inventory.items.values()} == {"job-1/0/1"}
    segment = warehouse.segment()
    assert (segment.is_done, segment.cursor, segment.call, segment.call_is_open) == (True, None, 1, False)
    assert counted(
        segment.tally, "items_scanned", "items_updated", "changes_applied", "calls", "read_units", "write_units"
    ) == {
        "items_scanned": 5,
        "items_updated": 5,
        "changes_applied": 5,
        "calls": 1,
        "read_units": 2.5,
        "write_units": 5.0,
    }
    assert segment.tally.memory_used > 1


def test_every_segment_has_its_own_items(warehouse: Warehouse) -> None:
    warehouse.configure(segments=3)
    warehouse.put(*items_with_work(20))
    warehouse.open()

    assert [warehouse.update(number) for number in range(3)] == [True, True, True]

    scanned = [warehouse.segment(number).tally.items_scanned for number in range(3)]
    assert sum(scanned) == 20
    assert 0 not in scanned
    assert set(warehouse.inventory.writes.values()) == {1}


def test_pages_without_a_due_item_are_passed(warehouse: Warehouse) -> None:
    future = [item_attributes(10, sku=f"a-{n}", pending=[change("later", at="20:00")]) for n in range(6)]
    warehouse.put(*future, mug(change("c1", "adjustment", 5)))
    warehouse.open()

    assert warehouse.update() is True

    assert warehouse.on_hand() == 15
    assert warehouse.inventory.calls["scan"] == 4
    assert warehouse.segment().tally.items_scanned == 7


def test_an_empty_table_is_done_at_once(warehouse: Warehouse) -> None:
    warehouse.open()

    assert warehouse.update() is True
    assert warehouse.close().status is JobStatus.SUCCEEDED


def test_a_segment_that_is_done_stays_done(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1")))
    warehouse.open()
    warehouse.update()
    before = warehouse.segment()

    assert warehouse.update() is True
    assert warehouse.segment() == before


def test_a_job_that_has_ended_needs_no_further_call(warehouse: Warehouse) -> None:
    warehouse.open()
    warehouse.update()
    warehouse.close()
    warehouse.put(mug(change("c1")))

    assert warehouse.update() is True
    assert warehouse.inventory.writes == {}


@pytest.mark.parametrize(("job_id", "segment"), [("job-9", 0), ("job-1", 1), ("job-1", -1)])
def test_an_unknown_job_or_segment_is_refused(warehouse: Warehouse, job_id: str, segment: int) -> None:
    warehouse.open()

    with pytest.raises(UnknownJobError, match=f"there is no job {job_id} with a segment {segment}"):
        update_segment(warehouse.services, job_id, segment)


def test_a_second_job_right_after_writes_nothing(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5), item_attributes(4, sku="other", available=77))
    run_job(warehouse.services, warehouse.request(scope="all"))
    warehouse.inventory.writes.clear()

    run = run_job(warehouse.services, warehouse.request("job-2", scope="all"))

    assert warehouse.inventory.writes == {}
    assert (run.status, run.tally.items_scanned, run.tally.items_with_work) == (JobStatus.SUCCEEDED, 6, 0)


def test_no_more_than_two_pages_are_in_memory(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(12))
    warehouse.open()
    ahead: list[int] = []
    written = itertools.count(1)

    def before(operation: str, _request: Request) -> None:
        if operation == WRITE:
            ahead.append(warehouse.inventory.calls["scan"] - next(written))

    warehouse.inventory.before = before
    warehouse.update()

    assert len(ahead) == 6
    assert max(ahead) <= 1


def test_pages_are_smaller_under_a_write_rate(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1000, max_write_rate=2, segments=2, function_timeout_seconds=40)
    warehouse.open()
    limits: list[int] = []
    warehouse.inventory.before = lambda operation, request: (
        limits.append(request["Limit"]) if operation == "scan" else None
    )

    warehouse.update()

    assert limits == [10]


# Update: other writers


def test_a_checkout_between_reading_and_writing_is_not_lost(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("delivery", "adjustment", 5)))
    warehouse.open()
    warehouse.before_write(lambda: warehouse.inventory.items[MUG].update(on_hand=Decimal(7)))

    warehouse.update()

    assert warehouse.on_hand() == 12
    assert counted(warehouse.segment().tally, "conflicts", "items_updated", "changes_applied") == {
        "conflicts": 1,
        "items_updated": 1,
        "changes_applied": 1,
    }


def test_a_change_cancelled_between_reading_and_writing_is_not_applied(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("delivery", "adjustment", 5)))
    warehouse.open()
    warehouse.before_write(lambda: warehouse.put(mug(version=8)))

    warehouse.update()

    assert warehouse.on_hand() == 10
    assert counted(warehouse.segment().tally, "items_with_work", "items_updated") == {
        "items_with_work": 0,
        "items_updated": 0,
    }


def test_an_item_deleted_between_reading_and_writing_is_a_failure_of_that_item(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1")), item_attributes(10, sku="cup", pending=[change("c2")]))
    warehouse.open()
    warehouse.before_write(lambda: warehouse.inventory.items.pop(MUG))

    warehouse.update()
    run = warehouse.close()

    assert run.status is JobStatus.COMPLETED_WITH_FAILURES
    assert counted(run.tally, "items_updated", "items_failed") == {"items_updated": 1, "items_failed": 1}
    assert list(warehouse.jobs.failures("job-1")) == [
        Failure(*MUG, None, "ITEM_DELETED", "the item was deleted while its changes were being applied")
    ]


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
    assert warehouse.on_hand() == 10 + 5 * due
    assert counted(warehouse.segment().tally, "items_updated", "items_with_work", "changes_applied") == {
        "items_updated": 1,
        "items_with_work": 1,
        "changes_applied": due,
    }


def test_a_lost_answer_is_counted_once_even_if_a_checkout_came_after_it(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", 5)))
    warehouse.open()
    warehouse.lose_next_answer()
    warehouse.before_write(lambda: None, lambda: warehouse.inventory.items[MUG].update(on_hand=Decimal(13)))

    warehouse.update()

    assert warehouse.on_hand() == 13
    assert warehouse.segment().tally.changes_applied == 1


def test_a_write_of_another_call_is_not_taken_for_this_ones(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", 5)))
    warehouse.open()
    applied = mug(version=8, settled={"c1": ("12:00", "09:00")}) | {
        "on_hand": Decimal(15),
        "last_write_id": "job-1/0/9",
    }
    warehouse.before_write(lambda: warehouse.put(applied))

    warehouse.update()

    assert warehouse.segment().tally.changes_applied == 0


# Update: failures


def test_an_item_that_cannot_be_read_fails_alone(warehouse: Warehouse) -> None:
    warehouse.put(unreadable("cup", change("c1")), mug(change("c2", "adjustment", 5)))
    warehouse.open()

    assert warehouse.update() is True

    assert warehouse.on_hand() == 15
    assert counted(warehouse.segment().tally, "items_failed", "items_updated", "items_with_work") == {
        "items_failed": 1,
        "items_updated": 1,
        "items_with_work": 2,
    }
    assert list(warehouse.jobs.failures("job-1")) == [
        Failure("cup", "DC1", None, "WRONG_TYPE", "on_hand is not a number")
    ]


def test_each_rejected_change_is_recorded_with_its_reason(warehouse: Warehouse) -> None:
    warehouse.put(mug(change("c1", "adjustment", -11), change("c2", "price", "much"), change("c3", "adjustment", 1)))
    warehouse.open()

    warehouse.update()

    assert {(each.change_id, each.code) for each in warehouse.jobs.failures("job-1")} == {
        ("c1", "INSUFFICIENT_STOCK"),
        ("c2", "NOT_A_NUMBER"),
    }
    assert counted(warehouse.segment().tally, "changes_applied", "changes_rejected", "items_troubled") == {
        "changes_applied": 1,
        "changes_rejected": 2,
        "items_troubled": 1,
    }


def test_the_cap_of_recorded_failures_is_shared_out_over_the_segments(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_updater.worker.FAILURES_A_JOB", 7)
    warehouse.configure(segments=2)
    warehouse.put(*(unreadable(f"sku-{n:03}", change("c")) for n in range(20)))
    warehouse.open()

    for number in range(2):
        warehouse.update(number)
    run = warehouse.close()

    assert run.tally.items_failed == 20
    assert [warehouse.segment(number).tally.failures_recorded for number in range(2)] == [3, 3]
    assert len(list(warehouse.jobs.failures("job-1"))) == 6


def test_the_cap_holds_over_all_calls_of_a_segment(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inventory_updater.worker.FAILURES_A_JOB", 3)
    warehouse.configure(page_size=1, batch_size=1)
    warehouse.put(*(mug(change("c", "adjustment", -99), sku=f"sku-{n}") for n in range(5)))
    warehouse.open()
    warehouse.every_write_takes(10)

    while not warehouse.update(seconds=20):
        pass

    assert warehouse.segment().call > 2
    assert len(list(warehouse.jobs.failures("job-1"))) == 3
    assert warehouse.segment().tally.changes_rejected == 5


# Update: time


def test_a_call_stops_when_the_time_left_is_less_than_one_and_a_half_of_its_slowest_page(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1)
    warehouse.put(*items_with_work(30))
    warehouse.open()
    warehouse.every_write_takes(10)

    assert warehouse.update(seconds=100) is False

    # A second is kept for saving: after 8 pages 19 seconds are left, after 9 there are 9.
    assert warehouse.segment().tally.items_updated == 9
    assert warehouse.segment().slowest_page_seconds == 10
    assert warehouse.segment().call_is_open is False


def test_the_reserve_goes_by_the_slowest_page_not_by_the_last(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1)
    warehouse.put(*items_with_work(40))
    warehouse.open()
    warehouse.every_write_takes(30, 1)

    assert warehouse.update(seconds=100) is False

    assert warehouse.segment().tally.items_updated == 25  # 30 + 24 seconds: 45 are left of 99


def test_the_slowest_page_is_remembered_over_calls(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1)
    warehouse.put(*items_with_work(80))
    warehouse.open()
    warehouse.every_write_takes(30, 1)
    warehouse.update(seconds=100)

    assert warehouse.update(seconds=100) is False

    assert warehouse.segment().tally.items_updated == 25 + 54


def test_many_short_calls_lead_to_the_same_stock_and_an_exact_tally(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(9))
    warehouse.open()
    warehouse.every_write_takes(10)

    calls = 1
    while not warehouse.update(seconds=12):
        calls += 1
    run = warehouse.close()

    assert calls == 5
    assert {item["on_hand"] for item in warehouse.inventory.items.values()} == {Decimal(15)}
    assert set(warehouse.inventory.writes.values()) == {1}
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert counted(run.tally, "items_scanned", "changes_applied", "calls") == {
        "items_scanned": 9,
        "changes_applied": 9,
        "calls": 5,
    }


def test_a_call_finishes_at_least_one_page_however_slow_the_last_one_was(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(5))
    warehouse.open()
    warehouse.every_write_takes(10)
    warehouse.update(seconds=12)

    assert warehouse.update(seconds=5) is False
    assert warehouse.segment().tally.items_updated == 4


def test_a_call_that_cannot_finish_one_page_says_what_to_do(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=4, write_concurrency=1)
    warehouse.put(*items_with_work(4))
    warehouse.open()
    warehouse.every_write_takes(10)

    with pytest.raises(
        NoProgressError,
        match="a page of 4 items did not fit into one call: lower PageSize or raise FunctionTimeoutSeconds",
    ):
        warehouse.update(seconds=8)

    assert warehouse.segment().tally.items_updated == 0
    assert str(warehouse.segment().error).startswith("NoProgressError: a page of 4 items")


def test_after_a_page_was_cut_short_the_stock_is_right_and_the_tally_a_lower_bound(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=4, write_concurrency=1)
    warehouse.put(*items_with_work(4))
    warehouse.open()
    warehouse.every_write_takes(10, 0)
    with pytest.raises(NoProgressError):
        warehouse.update(seconds=8)

    assert warehouse.update() is True
    run = warehouse.close()

    assert {item["on_hand"] for item in warehouse.inventory.items.values()} == {Decimal(15)}
    assert set(warehouse.inventory.writes.values()) == {1}
    assert run.tally_is_exact is False
    assert run.tally.changes_applied == 2
    assert run.error is None


def test_a_job_ends_before_its_execution_runs_out_of_history(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inventory_updater.worker.CALLS_A_JOB", 4)
    warehouse.configure(page_size=1, segments=2)
    warehouse.put(*items_with_work(40))
    warehouse.open()
    warehouse.every_write_takes(10)

    answers = [[warehouse.update(number, seconds=12) for _ in range(3)] for number in range(2)]
    warehouse.every_write_takes(0)
    run = warehouse.close()

    assert answers == [[False, True, True]] * 2
    assert counted(run.tally, "calls", "changes_applied") == {"calls": 4, "changes_applied": 4}
    assert (run.status, run.tally_is_exact) == (JobStatus.SUCCEEDED, True)
    assert run.error == "stopped after 4 calls; the next job takes up what is left"
    assert run.tally.oldest_overdue == moment("09:00")
    assert warehouse.metrics.published[0]["OldestOverdueSeconds"] == 3 * 3600 + 40


# Update: workers that die, double or lose the lease


def test_a_page_written_by_a_worker_that_died_before_saving_is_not_counted(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(4))
    warehouse.open()

    def dies(operation: str, _request: Request) -> None:
        if operation == WRITE:
            raise KeyboardInterrupt

    warehouse.inventory.after = dies
    with pytest.raises(KeyboardInterrupt):
        warehouse.update()
    warehouse.inventory.after = lambda _operation, _request: None

    assert warehouse.update() is True
    run = warehouse.close()

    assert {item["on_hand"] for item in warehouse.inventory.items.values()} == {Decimal(15)}
    assert (run.tally.changes_applied, run.tally_is_exact) == (2, False)
    assert run.status is JobStatus.SUCCEEDED


def test_of_two_calls_at_once_one_drops_its_tally(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=10, batch_size=10)
    warehouse.put(*items_with_work(4))
    warehouse.open()
    second: list[bool] = []
    warehouse.before_write(lambda: second.append(warehouse.update()))

    first = warehouse.update()

    assert (first, second) == (False, [True])
    assert set(warehouse.inventory.writes.values()) == {1}
    run = warehouse.close()
    assert (run.tally.changes_applied, run.tally.items_scanned, run.tally_is_exact) == (4, 4, False)


def test_a_call_that_was_overtaken_goes_on_from_the_truth(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(6))
    warehouse.open()
    warehouse.before_write(lambda: warehouse.jobs.begin_call("job-1", 0))

    assert warehouse.update() is False
    assert warehouse.segment().tally.items_updated == 0
    assert warehouse.update() is True

    assert {item["on_hand"] for item in warehouse.inventory.items.values()} == {Decimal(15)}


def test_a_worker_whose_lease_is_lost_stops_before_the_next_batch(warehouse: Warehouse) -> None:
    warehouse.configure(write_concurrency=1)
    warehouse.put(*items_with_work(6))
    warehouse.open()

    def taken_over() -> None:
        warehouse.clock.goes_on(1_000)
        warehouse.jobs.take_lease("job-2", 300)

    warehouse.before_write(taken_over)

    assert warehouse.update(seconds=10_000) is True

    assert warehouse.inventory.calls[WRITE] == 1
    assert warehouse.segment().error == "the lease is held by job-2"
    assert warehouse.segment().is_done is False


def test_the_lease_is_renewed_while_the_work_goes_on(warehouse: Warehouse) -> None:
    warehouse.configure(page_size=1)
    warehouse.put(*items_with_work(10))
    warehouse.open()
    warehouse.every_write_takes(100)

    assert warehouse.update(seconds=10_000) is True

    assert warehouse.jobs.lease().held_until > warehouse.services.now()


def test_a_refused_request_fails_the_call_and_the_next_one_goes_on(warehouse: Warehouse) -> None:
    warehouse.put(*items_with_work(4))
    warehouse.open()

    def refuse() -> None:
        raise failed_request("AccessDeniedException")

    warehouse.before_write(lambda: None, refuse)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        warehouse.update()
    assert "AccessDeniedException" in str(warehouse.segment().error)

    assert warehouse.update() is True
    assert warehouse.segment().error is None
    assert warehouse.segment().tally.items_updated == 4


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
