"""A finished run as metrics, log lines and the alert; decides nothing.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from inventory_updater.stock.items import read_time
from inventory_updater.tables.records import Failure, JobStatus, Run

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef
    from types_boto3_sns import SNSClient

NAMESPACE: Final = "InventoryUpdater"
FAILURES_AN_ALERT: Final = 10
"""How many failures an alert names."""

_SUBJECT_LIMIT: Final = 100
_LOWER_BOUNDS: Final = "A worker died or an answer was lost: these counts are lower bounds. The stock itself is right."

_log = logging.getLogger(__name__)


def has_metrics(run: Run) -> bool:
    """Whether a run is one that metrics speak of: neither a rehearsal nor one that never began."""
    return not run.dry_run and run.status not in (JobStatus.RUNNING, JobStatus.SKIPPED)


def metric_data(run: Run, environment: str, moment: datetime) -> "list[MetricDatumTypeDef]":
    """The metrics of a settled run.

    Args:
        run: the run with its status and tally.
        environment: the dimension ``Environment``; the other one is ``Scope``.
        moment: when the job ended; overdue changes are as old as they are then.
    """
    tally = run.tally
    overdue = 0.0
    if tally.oldest_overdue is not None:
        overdue = max(0.0, (moment - read_time(tally.oldest_overdue)).total_seconds())
    has_finished = run.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES)
    figures: Sequence[tuple[str, float, str]] = (
        ("ItemsScanned", tally.items_scanned, "Count"),
        ("ItemsUpdated", tally.items_updated, "Count"),
        ("ChangesApplied", tally.changes_applied, "Count"),
        ("ChangesRejected", tally.changes_rejected, "Count"),
        ("ChangesSuperseded", tally.changes_superseded, "Count"),
        ("ItemsFailed", tally.items_failed, "Count"),
        ("Conflicts", tally.conflicts, "Count"),
        ("Throttles", tally.throttles, "Count"),
        ("FailureRate", run.failure_rate, "Percent"),
        ("SuccessRate", 100.0 - run.failure_rate, "Percent"),
        ("JobDuration", run.duration_seconds or 0.0, "Seconds"),
        ("JobsFinished", float(has_finished), "Count"),
        ("JobsSucceeded", float(run.status is JobStatus.SUCCEEDED), "Count"),
        ("JobsFailed", float(run.status in (JobStatus.FAILED, JobStatus.ABANDONED)), "Count"),
        ("OldestOverdueSeconds", overdue, "Seconds"),
        ("MemoryUsed", tally.memory_used, "Megabytes"),
        ("ReadUnits", tally.read_units, "Count"),
        ("WriteUnits", tally.write_units, "Count"),
    )
    return [
        {
            "MetricName": name,
            "Dimensions": [{"Name": "Environment", "Value": environment}, {"Name": "Scope", "Value": run.scope}],
            "Timestamp": moment,
            "Value": float(value),
            "Unit": unit,  # type: ignore[typeddict-item]  # one of the units above
        }
        for name, value, unit in figures
    ]


def publish_metrics(client: "CloudWatchClient", data: "Sequence[MetricDatumTypeDef]") -> None:
    """Send the metrics of one run."""
    client.put_metric_data(Namespace=NAMESPACE, MetricData=data)


@dataclass(frozen=True, slots=True)
class Alert:
    """A message to people; the subject is one line of ASCII, as SNS wants it."""

    subject: str
    message: str


def failure_signature(run: Run) -> str:
    """What a run failed with, to compare with other runs: its status and the set of items and codes; empty if clean."""
    if run.status not in (JobStatus.FAILED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.ABANDONED):
        return ""
    return f"{run.status.value}:{run.tally.failure_sum:x}"


def alert_of(run: Run, failures: Iterable[Failure], environment: str) -> Alert:
    """The message about a run that did not end clean: what happened, the first failures, how to look further."""
    tally = run.tally
    subject = (
        f"[{environment}] inventory job {run.status.value}: {tally.items_failed} items failed, "
        f"{tally.changes_rejected} changes rejected"
    )
    lines = [
        f"Job {run.job_id} (scope {run.scope}, as of {run.as_of}) in environment {environment} is {run.status.value}.",
        *([f"Error: {run.error}"] if run.error else []),
        "",
        f"Items scanned:      {tally.items_scanned}",
        f"Items updated:      {tally.items_updated}",
        f"Items failed:       {tally.items_failed}",
        f"Changes applied:    {tally.changes_applied}",
        f"Changes rejected:   {tally.changes_rejected}",
        f"Changes superseded: {tally.changes_superseded}",
        *([] if run.tally_is_exact else [_LOWER_BOUNDS]),
        "",
    ]
    named = [
        f"  {failure.sku} at {failure.location_id}"
        + (f", change {failure.change_id}" if failure.change_id is not None else "")
        + f": {failure.code}: {failure.message}"
        for failure in failures
    ]
    if named:
        lines += ["First failures:", *named, ""]
    lines += [
        f"All of them: scripts/job.py show {run.job_id}",
        f"Put rejected changes back, once the cause is mended: scripts/changes.py retry {run.job_id}",
        "What it means and what to do: docs/operations.md",
    ]
    return Alert(subject[:_SUBJECT_LIMIT], "\n".join(lines))


def send_alert(client: "SNSClient", topic_arn: str, alert: Alert) -> None:
    """Send an alert to everyone who subscribed to the topic."""
    client.publish(TopicArn=topic_arn, Subject=alert.subject, Message=alert.message)


def log_run(run: Run) -> None:
    """One log line for a run that ended, with everything a query would filter on."""
    level = logging.INFO if run.status in (JobStatus.SUCCEEDED, JobStatus.SKIPPED) else logging.WARNING
    _log.log(
        logging.ERROR if run.status in (JobStatus.FAILED, JobStatus.ABANDONED) else level,
        "job %s",
        run.status.value,
        extra={
            "job_id": run.job_id,
            "status": run.status.value,
            "scope": run.scope,
            "dry_run": run.dry_run,
            "items_scanned": run.tally.items_scanned,
            "items_updated": run.tally.items_updated,
            "items_failed": run.tally.items_failed,
            "changes_applied": run.tally.changes_applied,
            "changes_rejected": run.tally.changes_rejected,
            "changes_superseded": run.tally.changes_superseded,
            "tally_is_exact": run.tally_is_exact,
            "duration_seconds": run.duration_seconds,
            "error": run.error,
        },
    )
