"""What a finished run tells CloudWatch."""

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from inventory_updater.reports.metrics import metric_data, publish_metrics
from inventory_updater.stock.times import read_time
from inventory_updater.tables.lateness import Lateness
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import moment
from tests.fakes.cloudwatch import RecordingCloudWatch

if TYPE_CHECKING:
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef

FINISHED_AT = moment("18:30")
TALLY = (
    Tally(items_failed=4, items_troubled=10, conflicts=2, throttles=5, oldest_overdue=moment("17:30"))
    + Tally(changes_applied=150, changes_rejected=6, changes_superseded=3, items_repaired=9, items_negative=1)
    + Tally(items_scanned=1000, items_updated=70, read_units=33.5, write_units=140.0, memory_used=97.25)
)
STARTED = Run("job-1", JobStatus.COMPLETED_WITH_FAILURES, "due", "schedule", moment("18:00"), moment("18:29"), 4)
RUN = replace(STARTED, finished_at=FINISHED_AT, duration_seconds=60.0, failure_rate=12.5, tally=TALLY)

COUNTS = {"ItemsFailed": 4, "ItemsRepaired": 9, "ItemsNegative": 1, "Conflicts": 2, "Throttles": 5} | {
    "ChangesApplied": 150,
    "ChangesRejected": 6,
    "ChangesSuperseded": 3,
}
FIGURES = COUNTS | {"FailureRateToAlarm": 12.5, "JobDuration": 60, "JobsFailed": 0, "OldestOverdueSeconds": 3600}
SECONDS = dict.fromkeys(("JobDuration", "OldestOverdueSeconds"), "Seconds")
UNITS = dict.fromkeys(FIGURES, "Count") | SECONDS | {"FailureRateToAlarm": "Percent"}


def data_of(run: Run, **settings: int) -> "list[MetricDatumTypeDef]":
    return metric_data(run, "staging", read_time(FINISHED_AT), **settings)


def figures(run: Run, **settings: int) -> dict[str, float]:
    return {datum["MetricName"]: datum["Value"] for datum in data_of(run, **settings)}


def test_a_run_is_published_as_these_metrics_in_these_units_in_one_namespace_in_one_request() -> None:
    cloudwatch = RecordingCloudWatch()
    publish_metrics(cloudwatch.client, data_of(RUN))

    assert cloudwatch.requests == [{"Namespace": "InventoryUpdater", "MetricData": data_of(RUN)}]
    assert (figures(RUN), len(data_of(RUN))) == (FIGURES, len(FIGURES))
    assert {datum["MetricName"]: datum["Unit"] for datum in data_of(RUN)} == UNITS


def test_every_metric_has_the_same_two_dimensions_and_the_time_at_which_the_job_ended() -> None:
    dimensions = [{"Name": "Environment", "Value": "staging"}, {"Name": "Scope", "Value": "due"}]

    for datum in data_of(RUN):
        assert (datum["Dimensions"], datum["Timestamp"]) == (dimensions, read_time(FINISHED_AT))


def test_a_count_is_sent_only_where_it_is_not_zero_and_what_alarms_watch_always() -> None:
    zeros = {"FailureRateToAlarm": 0, "JobDuration": 0, "JobsFailed": 0, "OldestOverdueSeconds": 0}

    assert figures(STARTED) == zeros
    for name, count in COUNTS.items():
        field = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        tally: dict[str, Any] = {field: count}
        assert figures(replace(STARTED, tally=Tally(**tally))) == zeros | {name: count}


def test_a_job_counts_as_failed_by_its_status() -> None:
    for status, count in {"SUCCEEDED": 0, "COMPLETED_WITH_FAILURES": 0, "FAILED": 1, "ABANDONED": 1}.items():
        assert figures(replace(RUN, status=JobStatus(status)))["JobsFailed"] == count, status


def test_nothing_is_overdue_where_nothing_is_due_by_the_clock() -> None:
    for tally in (Tally(), Tally(oldest_overdue=moment("19:00"))):
        assert figures(replace(RUN, tally=tally))["OldestOverdueSeconds"] == 0


def test_how_late_changes_were_is_one_metric_of_a_value_and_a_count_for_each_bucket() -> None:
    late = Lateness.of([3.0, 3.0, 600.0])
    *_, datum = data_of(replace(RUN, tally=replace(TALLY, lateness=late)))

    assert (datum["MetricName"], datum["Unit"], datum["Counts"]) == ("ChangeLateness", "Seconds", [2.0, 1.0])
    assert [late <= value < 1.19 * late for value, late in zip(datum["Values"], (3.0, 600.0), strict=True)] == [
        True
    ] * 2
    assert "Value" not in datum


def test_how_late_changes_were_is_never_more_values_than_aws_takes_at_once() -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html
    *_, datum = data_of(
        replace(RUN, tally=replace(TALLY, lateness=Lateness.of(0.1 * 1.1**power for power in range(400))))
    )
    assert 100 < len(datum["Values"]) == len(datum["Counts"]) <= 150
    assert sum(datum["Counts"]) == 400


def test_only_a_job_that_has_ended_has_metrics() -> None:
    ended = {JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.FAILED, JobStatus.ABANDONED}

    assert {status for status in JobStatus if replace(RUN, status=status).has_metrics} == ended


def test_a_share_of_few_items_is_no_alarm_but_a_job_that_failed_is_one() -> None:
    few = replace(RUN, tally=replace(TALLY, items_troubled=4))

    runs = few, RUN, replace(few, status=JobStatus.FAILED)

    assert [figures(run, alarm_failed_items=5)["FailureRateToAlarm"] for run in runs] == [0.0, 12.5, 12.5]
