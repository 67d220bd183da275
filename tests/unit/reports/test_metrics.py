"""What a finished run tells CloudWatch and the log."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from inventory_updater.reports.log import log_run
from inventory_updater.reports.metrics import metric_data, publish_metrics
from inventory_updater.stock.times import read_time
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import moment

if TYPE_CHECKING:
    from types_boto3_cloudwatch import CloudWatchClient
    from types_boto3_cloudwatch.type_defs import MetricDatumTypeDef

FINISHED_AT = moment("18:30")

RUN = Run(
    job_id="job-1",
    status=JobStatus.COMPLETED_WITH_FAILURES,
    scope="due",
    trigger="schedule",
    dry_run=False,
    as_of=moment("18:00"),
    started_at=moment("18:29"),
    segments=4,
    finished_at=FINISHED_AT,
    duration_seconds=60.0,
    failure_rate=12.5,
    tally=Tally(
        items_scanned=1000,
        items_updated=70,
        items_failed=4,
        items_with_work=80,
        items_troubled=10,
        changes_applied=150,
        changes_rejected=6,
        changes_superseded=3,
        conflicts=2,
        throttles=5,
        failures_recorded=10,
        calls=4,
        read_units=33.5,
        write_units=140.0,
        memory_used=97.25,
        oldest_overdue=moment("17:30"),
    ),
)

FIGURES = {
    "ItemsScanned": (1000.0, "Count"),
    "ItemsUpdated": (70.0, "Count"),
    "ChangesApplied": (150.0, "Count"),
    "ChangesRejected": (6.0, "Count"),
    "ChangesSuperseded": (3.0, "Count"),
    "ItemsFailed": (4.0, "Count"),
    "Conflicts": (2.0, "Count"),
    "Throttles": (5.0, "Count"),
    "FailureRate": (12.5, "Percent"),
    "JobDuration": (60.0, "Seconds"),
    "JobsFinished": (1.0, "Count"),
    "JobsSucceeded": (0.0, "Count"),
    "JobsFailed": (0.0, "Count"),
    "OldestOverdueSeconds": (3600.0, "Seconds"),
    "MemoryUsed": (97.25, "Megabytes"),
    "ReadUnits": (33.5, "Count"),
    "WriteUnits": (140.0, "Count"),
}


def data_of(run: Run) -> "list[MetricDatumTypeDef]":
    return metric_data(run, "staging", read_time(FINISHED_AT))


def figures(run: Run) -> dict[str, tuple[float, str]]:
    return {datum["MetricName"]: (datum["Value"], datum["Unit"]) for datum in data_of(run)}


def test_a_run_is_published_as_these_metrics_in_these_units() -> None:
    assert figures(RUN) == FIGURES
    assert len(data_of(RUN)) == len(FIGURES)


def test_every_metric_has_the_same_two_dimensions_and_the_time_at_which_the_job_ended() -> None:
    for datum in data_of(RUN):
        assert datum["Dimensions"] == [
            {"Name": "Environment", "Value": "staging"},
            {"Name": "Scope", "Value": "due"},
        ]
        assert datum["Timestamp"] == read_time(FINISHED_AT)


@pytest.mark.parametrize(
    ("status", "finished", "succeeded", "failed"),
    [
        (JobStatus.SUCCEEDED, 1, 1, 0),
        (JobStatus.COMPLETED_WITH_FAILURES, 1, 0, 0),
        (JobStatus.FAILED, 0, 0, 1),
    ],
)
def test_a_job_counts_as_finished_succeeded_or_failed_by_its_status(
    status: JobStatus, finished: int, succeeded: int, failed: int
) -> None:
    published = figures(replace(RUN, status=status))

    assert [published[name][0] for name in ("JobsFinished", "JobsSucceeded", "JobsFailed")] == [
        finished,
        succeeded,
        failed,
    ]


def test_nothing_overdue_is_published_as_0() -> None:
    assert figures(replace(RUN, tally=Tally()))["OldestOverdueSeconds"] == (0.0, "Seconds")


def test_a_change_due_in_the_future_of_the_clock_is_not_overdue() -> None:
    ahead = replace(RUN, tally=Tally(oldest_overdue=moment("19:00")))

    assert figures(ahead)["OldestOverdueSeconds"] == (0.0, "Seconds")


def test_a_job_without_work_has_no_failures() -> None:
    idle = replace(RUN, status=JobStatus.SUCCEEDED, failure_rate=Tally().failure_rate, tally=Tally(items_scanned=5))

    assert figures(idle)["FailureRate"][0] == 0.0


@pytest.mark.parametrize("status", [JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES, JobStatus.FAILED])
def test_a_dry_run_has_no_metrics_a_real_one_has(status: JobStatus) -> None:
    assert replace(RUN, status=status, dry_run=False).has_metrics
    assert not replace(RUN, status=status, dry_run=True).has_metrics


@pytest.mark.parametrize("status", [JobStatus.SKIPPED, JobStatus.RUNNING])
def test_a_job_that_never_began_or_has_not_ended_has_no_metrics(status: JobStatus) -> None:
    assert not replace(RUN, status=status).has_metrics


def test_metrics_go_into_one_namespace_in_one_request() -> None:
    requests: list[Mapping[str, object]] = []

    class Recorder:
        def put_metric_data(self, **request: object) -> None:
            requests.append(request)

    publish_metrics(cast("CloudWatchClient", Recorder()), data_of(RUN))

    assert requests == [{"Namespace": "InventoryUpdater", "MetricData": data_of(RUN)}]


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (JobStatus.SUCCEEDED, logging.INFO),
        (JobStatus.SKIPPED, logging.INFO),
        (JobStatus.COMPLETED_WITH_FAILURES, logging.WARNING),
        (JobStatus.FAILED, logging.ERROR),
        (JobStatus.ABANDONED, logging.ERROR),
    ],
)
def test_a_run_is_one_log_line_as_grave_as_its_end(
    status: JobStatus, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        log_run(replace(RUN, status=status))

    (record,) = caplog.records
    assert record.levelno == level
    assert vars(record).items() >= {"job_id": "job-1", "status": status.value, "changes_rejected": 6}.items()
