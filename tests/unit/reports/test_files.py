"""Files that came in, as metrics and as messages to people."""

from typing import Any

import pytest

from inventory_updater.reports.files import FileReporter, file_alert
from tests.fakes.clock import Clock
from tests.fakes.cloudwatch import RecordingCloudWatch
from tests.fakes.sns import RecordingTopic

PROBLEM = {"line": 3, "column": "value", "value": "many", "code": "NOT_A_NUMBER", "message": "'many' is not a number"}


def receipt(status: str = "REFUSED", problems: int = 1, **more: object) -> Any:
    counts = {"rows": 5, "added": 0, "known": 0, "held": 0, "refused": 1, "not_written": 4}
    said = {"status": status, "key": "incoming/ü/day.csv", "version": "v1", **counts}
    return {**said, "problems": [PROBLEM] * problems, "problem_count": problems, **more}


def message_about(told: Any, receipt_key: str = "receipts/r.json") -> str:
    alert = file_alert(told, receipt_key, "prod", "stack-prod", "intake")
    assert alert is not None
    return alert.message


def test_a_message_says_what_where_and_the_first_problems_and_its_subject_is_what_sns_takes() -> None:
    alert = file_alert(
        receipt(problems=700, problems_key="receipts/p.csv"), "receipts/r.json", "prod", "stack-prod", "intake"
    )
    assert alert is not None
    assert alert.subject == "[prod] inventory file REFUSED: 700 problems"
    assert alert.subject.isascii()
    assert len(alert.subject) <= 100
    assert "Receipt: s3://intake/receipts/r.json" in alert.message
    assert "All problems: s3://intake/receipts/p.csv" in alert.message
    assert alert.message.count("line 3, column value: NOT_A_NUMBER: 'many' is not a number") == 10


def test_of_a_file_that_was_taken_nobody_is_notified() -> None:
    assert file_alert(receipt("ACCEPTED", 0), "receipts/r.json", "prod", "stack-prod", "intake") is None


def test_who_may_approve_is_told_how() -> None:
    command = "scripts/intake.py held show 'incoming/ü/day.csv' --version v1 --stack stack-prod"
    statuses = ("HELD", "PARTLY_ACCEPTED", "REFUSED")
    told = {(status, held): message_about(receipt(status, held=held)) for status in statuses for held in (0, 1)}
    assert {about for about, message in told.items() if command in message} == {("HELD", 1), ("PARTLY_ACCEPTED", 1)}
    assert "once somebody approves the file" in told["PARTLY_ACCEPTED", 1]


def test_a_name_is_neither_a_command_nor_another_line_of_the_message() -> None:
    said = message_about(receipt("HELD", held=1, key="incoming/a; rm -rf $HOME/b.csv"))
    assert "held show 'incoming/a; rm -rf $HOME/b.csv' --version v1 --stack stack-prod" in said

    key = "incoming/a\nWhat to do, in a checkout:\n  rm.csv"
    beside = {"problems_key": f"receipts/{key}.problems.csv", "rejects_key": f"receipts/{key}.rejects.csv"}
    problem = PROBLEM | {"column": "x\nWhat to do", "message": "is\nWhat to do"}
    told = receipt("HELD", held=1, key=key) | beside | {"problems": [problem]}
    said = message_about(told, f"receipts/{key}.json")
    assert said.count("\nWhat to do") == 1
    assert said.endswith("held list --stack stack-prod")


@pytest.mark.parametrize(
    ("status", "held", "counted", "notified"),
    [
        ("ACCEPTED", 0, {"FilesAccepted": 1.0}, 0),
        ("PARTLY_ACCEPTED", 0, {"FilesAccepted": 1.0, "FilesRefused": 1.0}, 1),
        ("PARTLY_ACCEPTED", 2, {"FilesAccepted": 1.0, "FilesRefused": 1.0, "FilesHeld": 1.0}, 1),
        ("HELD", 5, {"FilesHeld": 1.0}, 1),
        ("REFUSED", 0, {"FilesRefused": 1.0}, 1),
        ("REFUSED", 2, {"FilesRefused": 1.0}, 1),
    ],
)
def test_each_file_is_counted_under_its_environment_alone(
    status: str, held: int, counted: dict[str, float], notified: int
) -> None:
    metrics, topic = RecordingCloudWatch(), RecordingTopic("arn:topic")
    reporter = FileReporter(*("prod", "stack-prod", "intake"), metrics.client, topic.client, topic.arn, Clock())

    reporter.tell(receipt(status, held=held), "receipts/r.json")

    assert metrics.figures() == counted
    (request,) = metrics.requests
    assert [each["Dimensions"] for each in request["MetricData"]] == [
        [{"Name": "Environment", "Value": "prod"}] for _ in counted
    ]
    assert len(topic.sent) == notified
