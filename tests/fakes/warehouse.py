"""Everything that a job works with: an inventory in memory, a jobs table, and a clock that only the test moves."""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.jobs.worker import update_segment
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Run, Segment, Tally
from tests.builders import change, item_attributes
from tests.fakes.clock import Clock
from tests.fakes.cloudwatch import RecordingCloudWatch
from tests.fakes.dynamodb import WRITE, InMemoryInventory
from tests.fakes.sns import RecordingTopic

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

MUG = ItemKey("mug", "DC1")


class Warehouse:
    """Everything that a job works with, and the job of the tests, ``job-1``."""

    def __init__(self, client: "DynamoDBClient", jobs_table: str) -> None:
        self.clock = Clock()
        self.inventory = InMemoryInventory()
        self.before_write = self.inventory.before_write
        self.lose_next_answer = self.inventory.lose_next_answer
        self.metrics = RecordingCloudWatch()
        self.topic = RecordingTopic("arn:aws:sns:eu-west-1:123456789012:alerts")
        self.jobs = JobTable(client, jobs_table, retention_days=30, clock=self.clock)
        self.settings = Settings(
            "test", "inventory", "jobs", segments=1, page_size=2, batch_size=2, alert_topic_arn=self.topic.arn
        )

    def configure(self, **settings: int) -> None:
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]  # none of them is text

    def put(self, *items: Mapping[str, object]) -> None:
        self.inventory.items |= InMemoryInventory(items).items

    @property
    def services(self) -> Services:
        return Services(
            InventoryTable(self.inventory.client, "inventory"),
            self.jobs,
            Reporter("test", self.metrics.client, self.topic.client, self.topic.arn),
            self.settings,
            clock=self.clock,
            monotonic=self.clock.monotonic,
        )

    def request(self, job_id: str = "job-1", scope: str = "due", *, dry_run: bool = False) -> JobRequest:
        now = self.services.now()
        return JobRequest(job_id, now, scope, now, dry_run)  # type: ignore[arg-type]  # one of the two scopes

    def open_with(self, *items: Mapping[str, object], **settings: int) -> None:
        """Open the job of the tests on these items."""
        self.configure(**settings)
        self.put(*items)
        self.open()

    def open(self, job_id: str = "job-1", scope: str = "due", *, dry_run: bool = False) -> None:
        assert open_job(self.services, self.request(job_id, scope, dry_run=dry_run))["outcome"] == "OPENED"

    def run_job(
        self, job_id: str = "job-1", scope: str = "due", *, dry_run: bool = False, call_seconds: float | None = None
    ) -> Run:
        """A whole job in one process."""
        return run_job(self.services, self.request(job_id, scope, dry_run=dry_run), call_seconds=call_seconds)

    def update(self, segment: int = 0, seconds: float = 900.0) -> bool:
        return update_segment(self.services, "job-1", segment, self.clock.countdown(seconds))

    def work_off(self, segment: int = 0, *, seconds: float = 900.0) -> int:
        """Update the segment until it is done, and say how many calls that took."""
        return next(calls for calls in itertools.count(1) if self.update(segment, seconds))

    def close(self, error: str = "") -> Run:
        close_job(self.services, self.request(), error)
        return self.run()

    def run(self, job_id: str = "job-1") -> Run:
        run = self.jobs.run(job_id)
        assert run is not None
        return run

    def segment(self, number: int = 0) -> Segment:
        return self.jobs.segment("job-1", number)

    def on_hand(self) -> set[object]:
        """Which numbers the items have on hand."""
        return {item["on_hand"] for item in self.inventory.items.values()}

    def every_write_takes(self, *seconds: float) -> None:
        """Let the first batches take these seconds and the rest the last of them."""
        durations = itertools.chain(seconds, itertools.repeat(seconds[-1]))
        self.inventory.before = lambda operation, _request: (
            self.clock.goes_on(next(durations)) if operation == WRITE else None
        )


def mug(*pending: Change, **rest: Any) -> dict[str, object]:
    return item_attributes(10, pending=pending, **rest)


def items_with_work(count: int) -> list[dict[str, object]]:
    return [item_attributes(10, sku=f"sku-{n:03}", pending=[change(f"c{n}", "adjustment", 5)]) for n in range(count)]


def counted(tally: Tally, *names: str) -> tuple[object, ...]:
    """The figures of these names."""
    return tuple(getattr(tally, name) for name in names)
