"""Everything that a job works with: its tables in memory, and a clock that only the test moves."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.jobs.worker import update_segment
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Run, Segment, Tally
from tests.builders import Stocked, change, record_attributes, stocked
from tests.engines import TABLES, Tables, table_definition
from tests.fakes.clock import Clock
from tests.fakes.cloudwatch import RecordingCloudWatch
from tests.fakes.dynamodb import WRITE
from tests.fakes.results import RecordingResults
from tests.fakes.sns import RecordingTopic
from tests.shop import put_items, put_stock
from tests.simulation.faults import Decide, Dies, Fault, Request, nothing
from tests.simulation.table import SimulatedDynamoDB

MUG = ItemKey("mug", "DC1")


class Warehouse:
    """Everything that a job works with, and the job of the tests, ``job-1``."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.dynamodb = SimulatedDynamoDB(random.Random(1), self.clock.monotonic, self._decide)
        for name in TABLES:
            self.dynamodb.create_table(**table_definition(name, "test"))
        self.tables = Tables("inventory-test", "inventory-changes-test", "inventory-jobs-test")
        self.happens: Decide = nothing
        """Asked before each request of a job: it may move the clock, change a table, or say what goes wrong."""
        self.metrics = RecordingCloudWatch()
        self.topic = RecordingTopic("arn:aws:sns:eu-west-1:123456789012:alerts")
        self.results = RecordingResults()
        self.jobs = JobTable(
            self.dynamodb.client, self.tables.jobs, retention_days=30, clock=self.clock, sleep=self.clock.sleep
        )
        names = self.tables
        self.settings = Settings(
            *("test", names.inventory, names.changes, names.jobs),
            segments=1,
            page_size=2,
            batch_size=2,
            write_concurrency=1,  # one lane after the other, so that a test knows what comes first
            alert_topic_arn=self.topic.arn,
        )

    def _decide(self, operation: str, request: Request) -> Fault | None:
        return self.happens(operation, request)

    def before_write(self, *hooks: Callable[[], Fault | None]) -> None:
        """Let these happen just before the first, the second, ... batch of the inventory is written."""
        waiting = iter(hooks)
        self.happens = lambda operation, request: (
            hook() if self.is_write(operation, request) and (hook := next(waiting, None)) else None
        )

    def dies_at_write(self, number: int, *, is_done: bool) -> None:
        """Let the process die at this batch of the inventory, from 1, once it is written or before; it says no more."""
        writes = itertools.count(1)
        is_dead = False

        def dies(operation: str, request: Request) -> Fault | None:
            nonlocal is_dead
            if is_dead:
                return Dies(is_done=False)
            is_dead = self.is_write(operation, request) and next(writes) == number
            return Dies(is_done) if is_dead else None

        self.happens = dies

    def all_is_well(self) -> None:
        """Let nothing happen to the requests from now on."""
        self.happens = nothing

    def is_write(self, operation: str, request: Request) -> bool:
        """Whether a request writes items."""
        return operation == WRITE and f'"{self.tables.inventory}"' in request["Statements"][0]["Statement"]

    def configure(self, **settings: int) -> None:
        self.settings = replace(self.settings, **settings)  # type: ignore[arg-type]  # none of them is text

    def put(self, *stock: Attributes | Stocked) -> None:
        happens, self.happens = self.happens, nothing
        put_stock(self.dynamodb.client, self.tables, *stock)
        self.happens = happens

    def clear(self) -> None:
        """Take every item and every change away."""
        for name, keys in (
            (self.tables.inventory, ("sku", "location_id")),
            (self.tables.changes, ("item", "change_id")),
        ):
            for item in self.dynamodb.items(name):
                self.dynamodb.delete_item(TableName=name, Key={key: item[key] for key in keys})

    def schedule(self, key: ItemKey, *changes: Change) -> None:
        """Put changes of an item that is there."""
        put_items(self.dynamodb.client, self.tables.changes, [record_attributes(key, each) for each in changes])

    def items(self) -> dict[ItemKey, Attributes]:
        return {read_key(item): item for item in self._stored(self.tables.inventory)}

    def statuses(self) -> dict[str, object]:
        """What has become of the changes, by change id."""
        return {change_id: record["status"] for change_id, record in self.records().items()}

    def records(self) -> dict[str, Attributes]:
        """The records of the changes, by change id."""
        return {str(record["change_id"]): record for record in self._stored(self.tables.changes)}

    def _stored(self, table: str) -> list[Attributes]:
        found: Any = self.dynamodb.items(table)
        return [from_attribute_values(each) for each in found]

    @property
    def services(self) -> Services:
        client = self.dynamodb.client
        return Services(
            client,
            InventoryTable(client, self.tables.inventory),
            ChangeTable(client, self.tables.changes, retention_days=30),
            self.jobs,
            Reporter("test", self.metrics.client, self.topic.client, self.topic.arn, results=self.results),
            self.settings,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.clock.sleep,
        )

    def request(self, job_id: str = "job-1", scope: str = "due") -> JobRequest:
        now = self.services.now()
        return JobRequest(job_id, now, scope, now)  # type: ignore[arg-type]  # one of the two scopes

    def open_with(self, *stock: Attributes | Stocked, scope: str = "due", **settings: int) -> None:
        """Open the job of the tests on this stock, which is more than opening settles."""
        self.configure(**settings)
        self.put(*stock)
        self.open(scope=scope)

    def open(self, job_id: str = "job-1", scope: str = "due") -> None:
        assert open_job(self.services, self.request(job_id, scope))["outcome"] == "OPENED"

    def run_job(self, job_id: str = "job-1", scope: str = "due", *, call_seconds: float | None = None) -> Run:
        """A whole job in one process."""
        return run_job(self.services, self.request(job_id, scope), call_seconds=call_seconds)

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
        return {item["on_hand"] for item in self.items().values()}

    @property
    def writes(self) -> Counter[ItemKey]:
        """How often each item was written by a job."""
        landed: Any = self.dynamodb.landed
        return Counter(
            read_key(from_attribute_values(each.key))
            for each in landed
            if each.table == self.tables.inventory and each.operation == WRITE
        )

    def every_write_takes(self, *seconds: float) -> None:
        """Let the first batches take these seconds and the rest the last of them."""
        durations = itertools.chain(seconds, itertools.repeat(seconds[-1]))
        self.happens = lambda operation, request: (
            self.clock.goes_on(next(durations)) if self.is_write(operation, request) else None
        )


def mug(*changes: Change, **rest: Any) -> Stocked:
    return stocked(*changes, **rest)


def items_with_work(count: int) -> list[Stocked]:
    """Each due in a moment of its own: a page ends between two of them."""
    return [
        stocked(change(f"c{n}", "adjustment", 5, f"09:{n // 60:02}:{n % 60:02}"), sku=f"sku-{n:03}")
        for n in range(count)
    ]


def counted(tally: Tally, *names: str) -> tuple[object, ...]:
    """The figures of these names."""
    return tuple(getattr(tally, name) for name in names)
