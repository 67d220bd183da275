"""What a job works with: the two tables, where it reports to, its settings and its clocks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.items import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_sns import SNSClient


@dataclass(frozen=True, slots=True)
class Services:
    """What a job works with; without a client for alerts nobody is told."""

    inventory: InventoryTable
    jobs: JobTable
    metrics: "CloudWatchClient"
    settings: Settings
    alerts: "SNSClient | None" = None
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def now(self) -> str:
        return format_time(self.clock())
