"""To whom a job reports: the log, the metrics, people, other systems."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from inventory_updater.reports import alerts, log, metrics
from inventory_updater.reports.results import Results, result_of
from inventory_updater.tables.records import Failure, Run

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_sns import SNSClient


@dataclass(frozen=True, slots=True)
class Reporter:
    """The reports of one environment.

    Without a client for messages nobody is notified, and without ``results`` no system is.
    """

    environment: str
    cloudwatch: "CloudWatchClient"
    sns: "SNSClient | None" = None
    topic_arn: str = ""
    stack: str = ""
    alarm_failed_items: int = 1
    results: Results | None = None

    @property
    def notifies_people(self) -> bool:
        return self.sns is not None

    @property
    def publishes_results(self) -> bool:
        return self.results is not None

    def log(self, run: Run) -> None:
        log.log_run(run)

    def publish_metrics(self, run: Run, moment: datetime) -> None:
        """Publish the metrics of a settled run, which ended at ``moment``."""
        data = metrics.metric_data(run, self.environment, moment, self.alarm_failed_items)
        metrics.publish_metrics(self.cloudwatch, data)

    def publish_result(self, run: Run, jobs_table: str) -> None:
        """Tell other systems how a settled run ended; the records of ``jobs_table`` say what it did."""
        if self.results is not None:
            self.results.publish(result_of(run, self.environment, jobs_table))

    def publish_silence(self, silence: Mapping[str, timedelta], moment: datetime) -> None:
        """Publish how long each scope has been silent at ``moment``."""
        metrics.publish_metrics(self.cloudwatch, metrics.silence_data(silence, self.environment, moment))

    def send_alert(self, run: Run, failures: Iterable[Failure]) -> None:
        """Notify people of a run that did not end clean; the first of ``failures`` are in the message."""
        if self.sns is not None:
            first = islice(failures, alerts.FAILURES_AN_ALERT)
            alerts.send_alert(self.sns, self.topic_arn, alerts.alert_of(run, first, self.environment, self.stack))
