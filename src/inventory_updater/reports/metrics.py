"""A finished run as metrics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricData.html
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from inventory_updater.stock.times import read_time
from inventory_updater.tables.lateness import seconds_of
from inventory_updater.tables.records import JobStatus, Run

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.literals import StandardUnitType
    from types_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDatumTypeDef

NAMESPACE: Final = "InventoryUpdater"

SILENCE_METRICS: Final[Mapping[str, tuple[str, timedelta]]] = {
    "due": ("SilenceMinutes", timedelta(minutes=1)),
    "all": ("SilenceHours", timedelta(hours=1)),
}
"""The metric and its unit by scope: those of DueSilenceMinutes and AllSilenceHours, as a template cannot multiply."""


def metric_data(
    run: Run, environment: str, moment: datetime, alarm_failed_items: int = 1
) -> "list[MetricDatumTypeDef]":
    """The metrics of a settled run: what alarms watch, and the counts that are not zero.

    The others that a run has are on record only, or AWS counts them itself.

    Args:
        run: the run with its status and tally.
        environment: the dimension ``Environment``; the other one is ``Scope``.
        moment: when the job ended; overdue changes are as old as they are then.
        alarm_failed_items: from how many items in trouble on their share is one for the alarm.
    """
    tally = run.tally
    overdue = 0.0
    if tally.oldest_overdue is not None:
        overdue = max(0.0, (moment - read_time(tally.oldest_overdue)).total_seconds())
    # A share of few items says little: one of two is 50 percent. A job that could do nothing at all counts always.
    is_notable = run.status is JobStatus.FAILED or tally.items_troubled >= alarm_failed_items
    # An alarm keeps its state until the next one of these, so every job sends them, zero or not.
    for_alarms: Sequence[tuple[str, float, StandardUnitType]] = (
        ("FailureRateToAlarm", run.failure_rate if is_notable else 0.0, "Percent"),
        ("JobDuration", run.duration_seconds or 0.0, "Seconds"),
        ("JobsFailed", float(run.status in (JobStatus.FAILED, JobStatus.ABANDONED)), "Count"),
        ("OldestOverdueSeconds", overdue, "Seconds"),
    )
    # A metric is charged by the hour in which it is sent, and none says as much as a zero.
    counts = {
        "ChangesApplied": tally.changes_applied,
        "ChangesRejected": tally.changes_rejected,
        "ChangesSuperseded": tally.changes_superseded,
        "ItemsFailed": tally.items_failed,
        "ItemsRepaired": tally.items_repaired,
        "ItemsNegative": tally.items_negative,
        "Conflicts": tally.conflicts,
        "Throttles": tally.throttles,
    }
    data = [_datum(name, environment, run.scope, moment, value, unit) for name, value, unit in for_alarms]
    data += [_datum(name, environment, run.scope, moment, count, "Count") for name, count in counts.items() if count]
    if tally.lateness.counts:
        late = _datum("ChangeLateness", environment, run.scope, moment, 0.0, "Seconds")
        del late["Value"]
        late["Values"] = [seconds_of(bucket) for bucket in tally.lateness.counts]
        late["Counts"] = [float(count) for count in tally.lateness.counts.values()]
        data.append(late)
    return data


def silence_data(silence: Mapping[str, timedelta], environment: str, moment: datetime) -> "list[MetricDatumTypeDef]":
    """How long each scope has been silent, in the unit of the parameter that its alarm compares it with."""
    return [
        _datum(name, environment, scope, moment, silence[scope] / unit, "None")
        for scope, (name, unit) in SILENCE_METRICS.items()
    ]


def count_data(counts: Mapping[str, int], environment: str, moment: datetime) -> "list[MetricDatumTypeDef]":
    """Counts of what has no scope."""
    return [_datum(name, environment, None, moment, count, "Count") for name, count in counts.items()]


def _datum(
    name: str, environment: str, scope: str | None, moment: datetime, value: float, unit: "StandardUnitType"
) -> "MetricDatumTypeDef":
    of_scope: list[DimensionTypeDef] = [] if scope is None else [{"Name": "Scope", "Value": scope}]
    return {
        "MetricName": name,
        "Dimensions": [{"Name": "Environment", "Value": environment}, *of_scope],
        "Timestamp": moment,
        "Value": float(value),
        "Unit": unit,
    }


def publish_metrics(client: "CloudWatchClient", data: "Sequence[MetricDatumTypeDef]") -> None:
    """Send the metrics of one run."""
    client.put_metric_data(Namespace=NAMESPACE, MetricData=data)
