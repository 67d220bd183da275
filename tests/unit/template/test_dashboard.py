"""The dashboard of the template: no linter reads it."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from inventory_updater.reports.log import log_run
from inventory_updater.reports.metrics import NAMESPACE, SILENCE_METRICS
from inventory_updater.tables.records import JobStatus, Run
from tests.cloudformation import (
    granted,
    load_template,
    parameter_values,
    properties,
    resolve,
    resources_of_type,
    statements,
)
from tests.unit.template.test_alarms import OF_FILES, exists, published

COLUMNS: Final = 24
QUESTIONS: Final = [
    "Which alarms are on?",
    "What failed last?",
    "Is it running?",
    "Is it right?",
    "How much?",
    "How fast, and how close to its limits?",
    "What does it cost?",
    "What is waiting?",
    "What comes in?",
    "Is DynamoDB throttling or failing?",
    "Where else to look",
]


def widgets(**parameters: str) -> list[Any]:
    return list(json.loads(properties("Dashboard", **parameters)["DashboardBody"])["widgets"])


def of_type(kind: str, **parameters: str) -> list[Any]:
    return [widget["properties"] for widget in widgets(**parameters) if widget["type"] == kind]


def metrics(widget: Any) -> Iterator[list[Any]]:
    """The metrics of a widget with CloudWatch's short form "..." written out.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    """
    before: list[Any] = []
    for row in widget["metrics"]:
        plain = [part for part in row if isinstance(part, str)]
        if plain[0] == "...":
            plain = [*before[: len(before) - len(plain) + 1], *plain[1:]]
        before = plain
        yield plain


ALL_METRICS: Final = [metric for widget in of_type("metric") for metric in metrics(widget)]


def test_no_two_widgets_overlap_and_none_is_wider_than_the_grid() -> None:
    cells = [
        (x, y)
        for widget in widgets()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(cells) == len(set(cells))
    assert {x for x, _ in cells} == set(range(COLUMNS))
    # No holes: every row that is begun is full.
    assert len(cells) == COLUMNS * (max(y for _, y in cells) + 1)


def test_it_answers_the_questions_from_top_to_bottom() -> None:
    texts = sorted((widget["y"], widget["properties"]["markdown"]) for widget in widgets() if widget["type"] == "text")

    assert re.findall(r"(?m)^## (.+)$", "\n".join(text for _, text in texts)) == QUESTIONS


def test_it_shows_only_metrics_that_somebody_publishes() -> None:
    assert [] == [metric for metric in ALL_METRICS if not exists(metric[0], metric[1], frozenset(metric[2::2]))]


def test_it_shows_every_metric_of_a_job_for_both_scopes_and_every_metric_of_files() -> None:
    shown = {(metric[1], metric[-1]) for metric in ALL_METRICS if metric[0] == NAMESPACE}
    of_files = {(name, "dev") for name in OF_FILES}
    silence = {(name, scope) for scope, (name, _) in SILENCE_METRICS.items()}
    of_jobs = set(published()) - {name for name, _ in silence}

    assert shown == of_files | silence | {(name, scope) for name in of_jobs for scope in ("due", "all")}


def test_lateness_is_shown_as_a_distribution() -> None:
    [shown] = [found for found in of_type("metric") if "ChangeLateness" in found["metrics"][0]]

    assert [row[-1].get("stat", shown["stat"]) for row in shown["metrics"]] == ["p50", "p99", "Maximum", "Maximum"]


def test_throttling_is_shown_for_every_table_and_index() -> None:
    shown = {(metric[1], *metric[3::2]) for metric in ALL_METRICS if metric[1].endswith("ThrottleEvents")}
    tables = resources_of_type("AWS::DynamoDB::Table")
    places = {(table,) for table in tables} | {
        (table, index["IndexName"])
        for table, found in tables.items()
        for index in found["Properties"].get("GlobalSecondaryIndexes", [])
    }

    assert shown == {(name, *place) for name in ("ReadThrottleEvents", "WriteThrottleEvents") for place in places}


@pytest.mark.parametrize("name", ["SystemErrors", "ThrottledRequests"])
def test_each_operation_that_a_function_may_call_is_shown_and_no_other(name: str) -> None:
    # What a batch or a transaction does is authorised piece by piece, and measured as the one operation.
    in_batches = dict.fromkeys(("PartiQLInsert", "PartiQLUpdate"), "BatchExecuteStatement")
    measured_as = {
        "InventoryTable": {**in_batches, "ConditionCheckItem": "TransactWriteItems"},
        "ChangesTable": {**in_batches, "UpdateItem": "TransactWriteItems"},
        "JobsTable": dict[str, str](),
    }
    allowed = (
        (resource.partition(".")[0], action.removeprefix("dynamodb:"))
        for action, resource in granted(statements("FunctionRole")) | granted(statements("IntakeRole"))
        if action.startswith("dynamodb:")
    )

    assert {(metric[3], metric[5]) for metric in ALL_METRICS if metric[1] == name} == {
        (table, measured_as[table].get(operation, operation)) for table, operation in allowed
    }


def test_every_metric_widget_names_region_statistic_and_period_and_has_a_title_of_its_own() -> None:
    titles = [found["title"] for kind in ("alarm", "log", "metric") for found in of_type(kind)]

    assert [] == [
        found["title"]
        for found in of_type("metric")
        if found["region"] != "eu-west-1" or found["stat"] not in ("Sum", "Maximum", "Minimum") or found["period"] % 60
    ]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("off", [(), ("Due",), ("All",), ("Due", "All")])
def test_it_lists_every_alarm_that_there_is_whichever_schedules_are_on(off: tuple[str, ...]) -> None:
    [widget] = of_type("alarm", **{f"{scope}ScheduleState": "DISABLED" for scope in off})
    expected = set(resources_of_type("AWS::CloudWatch::Alarm")) - {f"{scope}SilenceAlarm" for scope in off}

    assert sorted(widget["alarms"]) == sorted(f"{name}.Arn" for name in expected)
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
    assert len(widget["alarms"]) <= 100


def test_the_lines_of_the_thresholds_are_the_thresholds() -> None:
    lines = {
        widget["title"]: [(line["label"], line["value"]) for line in widget["annotations"]["horizontal"]]
        for widget in of_type(
            "metric", AlarmFailureRatePercent="7", AlarmOverdueSeconds="60", AlarmIntakeAgeSeconds="120"
        )
        if "annotations" in widget
    }

    assert lines == {
        "Failure rate": [("alarm above", 7)],
        "Duration of a job": [("alarm", 17280), ("time limit", 21600)],
        "How long the oldest change has been overdue": [("alarm", 60)],
        "How long the oldest file or message has waited": [("alarm", 120)],
    }


def test_the_last_failures_are_read_from_the_functions_log_by_fields_that_it_writes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jobs, errors, _ = (widget["query"].split(" | ") for widget in of_type("log"))
    log_run(Run("job", JobStatus.FAILED, "due", "schedule", "", "", 4))
    [record] = caplog.records

    assert jobs[0] == errors[0] == "SOURCE 'FunctionLogGroup'"
    assert set(jobs[1].removeprefix("fields @timestamp, ").split(", ")) | {"status"} <= set(vars(record))
    assert jobs[2] == "filter status in ['FAILED', 'COMPLETED_WITH_FAILURES', 'ABANDONED']"
    # Lambda's JSON format gives the class of an exception, logged or raised, the name errorType.
    # https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
    assert errors[1:3] == ["fields @timestamp, job_id, message, errorType, errorMessage", "filter ispresent(errorType)"]


def test_the_memory_is_read_from_what_lambda_logs_of_each_invocation_and_held_against_its_limit() -> None:
    *_, memory = of_type("log", FunctionMemoryMegabytes="2048")

    # https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html
    assert memory["query"] == (
        "SOURCE 'FunctionLogGroup' | filter type = 'platform.report' "
        "| stats max(record.metrics.maxMemoryUsedMB) as megabytes by bin(5m)"
    )
    assert (memory["view"], memory["title"]) == ("timeSeries", "Memory used, of 2048 megabytes")


@pytest.mark.parametrize(
    ("partition", "domain"),
    [("aws", "aws.amazon.com"), ("aws-cn", "amazonaws.cn"), ("aws-us-gov", "amazonaws-us-gov.com")],
)
def test_its_links_lead_to_the_console_of_the_partition(partition: str, domain: str) -> None:
    dashboard = load_template()["Resources"]["Dashboard"]["Properties"]
    body = resolve(dashboard["DashboardBody"], parameter_values() | {"AWS::Partition": partition})

    assert set(re.findall(r"https://([^/]+)/", body)) == {f"eu-west-1.console.{domain}"}
