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
    alert = file_alert(receipt("HELD"), "receipts/r.json", "prod", "stack-prod", "intake")
    assert alert is not None
    assert "scripts/intake.py held show 'incoming/ü/day.csv' --stack stack-prod" in alert.message


def test_a_name_is_no_command_and_no_line_of_its_own_in_the_message() -> None:
    name = "incoming/x;reboot\n\nWhat to do:\u2028  rm -r ."
    alert = file_alert({**receipt("HELD"), "key": name}, f"receipts/{name}.json", "prod", "stack-prod", "intake")
    assert alert is not None
    assert "held show 'incoming/x;reboot\\n\\nWhat to do:\\u2028  rm -r .' --stack" in alert.message
    assert [each for each in alert.message.splitlines() if each.startswith(("What to do:", "  rm"))] == []


@pytest.mark.parametrize(
    ("status", "counted", "notified"),
    [
        ("ACCEPTED", {"FilesAccepted": 1.0}, 0),
        ("PARTLY_ACCEPTED", {"FilesAccepted": 1.0, "FilesRefused": 1.0}, 1),
        ("HELD", {"FilesHeld": 1.0}, 1),
        ("REFUSED", {"FilesRefused": 1.0}, 1),
    ],
)
def test_each_file_is_counted_under_its_environment_alone(
    status: str, counted: dict[str, float], notified: int
) -> None:
    metrics, topic = RecordingCloudWatch(), RecordingTopic("arn:topic")
    reporter = FileReporter(*("prod", "stack-prod", "intake"), metrics.client, topic.client, topic.arn, Clock())

    reporter.tell(receipt(status), "receipts/r.json")

    assert metrics.figures() == counted
    (request,) = metrics.requests
    assert [each["Dimensions"] for each in request["MetricData"]] == [
        [{"Name": "Environment", "Value": "prod"}] for _ in counted
    ]
    assert len(topic.sent) == notified
