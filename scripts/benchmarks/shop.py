"""A shop in memory: the product's own functions on tables that count, and a clock that only the benchmark moves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from benchmarks.memory import CHANGES, INVENTORY, JOBS, Memory, Spent
from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Reports, Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Failure, Run

SETTINGS: Final = Settings("bench", "inventory", "changes", "jobs")


class Silence:
    """Where a job reports to: there are people and systems, and none of them is told."""

    notifies_people = True
    publishes_results = True

    def log(self, run: Run) -> None:
        """Nothing is logged."""

    def publish_metrics(self, run: Run, moment: datetime) -> None:
        """Nothing is published."""

    def publish_result(self, run: Run, jobs_table: str) -> None:
        """Nothing is published."""

    def publish_silence(self, silence: Mapping[str, timedelta], moment: datetime) -> None:
        """Nothing is published."""

    def send_alert(self, run: Run, failures: Iterable[Failure]) -> None:
        """Nobody is told."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change that somebody asks for, and the item it is for."""

    key: ItemKey
    change: Change


class Shop:
    """Tables, a clock and the product."""

    def __init__(self, now: datetime, settings: Settings = SETTINGS) -> None:
        self.now = now
        self.memory = Memory(
            {settings.inventory_table: INVENTORY, settings.changes_table: CHANGES, settings.jobs_table: JOBS}
        )
        self._client = cast("Any", self.memory)
        self._jobs = 0
        self._settings = settings
        self._inventory = InventoryTable(self._client, settings.inventory_table)
        self._changes = ChangeTable(self._client, settings.changes_table, retention_days=settings.change_retention_days)

    def spent_by(self, work: Callable[[], object]) -> Spent:
        """What ``work`` asks for."""
        before = self.memory.spent()
        work()
        return self.memory.spent() - before

    def load(self, rows: Sequence[Any]) -> None:
        """Load items, once."""
        load_stock(self._client, self._inventory, lambda: rows, format_time(self.now))

    def schedule(self, wanted: Sequence[Wanted]) -> None:
        """Accept changes."""
        now = format_time(self.now)
        schedule_changes(
            self._client, self._inventory, self._changes, lambda: wanted, now, actor="planner", source="trade.csv"
        )

    def run_job(self) -> Run:
        """Run a job of scope ``due`` now."""
        self._jobs += 1
        jobs = JobTable(
            self._client,
            self._settings.jobs_table,
            retention_days=self._settings.job_retention_days,
            clock=lambda: self.now,
        )
        services = Services(
            self._client,
            self._inventory,
            self._changes,
            jobs,
            cast("Reports", Silence()),
            self._settings,
            clock=lambda: self.now,
            # However slow this machine is, a job asks for the same.
            monotonic=self.now.timestamp,
            sleep=lambda _seconds: None,
        )
        request = JobRequest(f"job-{self._jobs:08}", format_time(self.now), "due", format_time(self.now))
        return run_job(services, request)
