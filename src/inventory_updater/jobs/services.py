"""What a job works with: the three tables, where it reports to, its settings and its clocks."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from typing import Protocol as Interface

from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.protocol import Protocol
from inventory_updater.tables.records import Failure, Run

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


class Reports(Interface):
    """Where a job reports to; ``reports.reporter`` has the real one."""

    @property
    def notifies_people(self) -> bool: ...

    @property
    def publishes_results(self) -> bool: ...

    def log(self, run: Run) -> None: ...

    def publish_metrics(self, run: Run, moment: datetime) -> None: ...

    def publish_result(self, run: Run, jobs_table: str) -> None: ...

    def publish_silence(self, silence: Mapping[str, timedelta], moment: datetime) -> None: ...

    def send_alert(self, run: Run, failures: Iterable[Failure]) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """What a job works with."""

    dynamodb: "DynamoDBClient"
    inventory: InventoryTable
    changes: ChangeTable
    jobs: JobTable
    reports: Reports
    settings: Settings
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def protocol(self, job_id: str) -> Protocol:
        """How this job settles."""
        by = {"job_id": job_id}
        return Protocol(self.dynamodb, self.inventory, self.changes, by, self.settings.batch_size)

    def now(self) -> str:
        return format_time(self.clock())
