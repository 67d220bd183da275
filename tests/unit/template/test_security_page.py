"""docs/security.md: its table of rules speaks of everything in the template, and of nothing else."""

import re
from typing import Any, Final

import pytest

from tests.cloudformation import TEMPLATE, load_template

PAGE: Final = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")
ROWS: Final = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.split("## Rules\n", 1)[1].splitlines()
    if line.startswith("| ")
][2:]

# How the page calls the resources of a type.
NAMES: Final = {
    "AWS::CloudWatch::Alarm": "alarms",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::DynamoDB::Table": "tables",
    "AWS::IAM::Role": "roles",
    "AWS::KMS::Alias": "key alias",
    "AWS::KMS::Key": "key",
    "AWS::Lambda::Function": "function",
    "AWS::Logs::LogGroup": "log groups",
    "AWS::SNS::Subscription": "subscription",
    "AWS::SNS::Topic": "topic",
    "AWS::SNS::TopicPolicy": "topic policy",
    "AWS::SQS::Queue": "queue",
    "AWS::SQS::QueuePolicy": "queue policy",
    "AWS::Scheduler::Schedule": "schedules",
    "AWS::Scheduler::ScheduleGroup": "schedule group",
    "AWS::StepFunctions::StateMachine": "state machine",
}
OUTSIDE_THE_TEMPLATE: Final = {"code bucket (made by `deploy.py`)"}

# What a rule asks for although the template, rightly, does not have it; `permission` is a resource of its own on AWS.
NOT_THERE: Final = {"(backup plan)", "permission", "VpcConfig", "DeadLetterConfig"}
# What a resource has by default.
BY_DEFAULT: Final = {"ActionsEnabled"}


def resources() -> dict[str, Any]:
    found: dict[str, Any] = load_template()["Resources"]
    return found


def test_every_kind_of_resource_has_its_rows_and_every_row_its_resource() -> None:
    assert {resource["Type"] for resource in resources().values()} == NAMES.keys()
    assert set(NAMES.values()) | OUTSIDE_THE_TEMPLATE == {row[0] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_names_a_property_that_every_such_resource_has_a_rule_and_how_it_is_met(row: list[str]) -> None:
    name, named, rule, met = row
    assert rule
    assert met
    if name in OUTSIDE_THE_TEMPLATE:
        return
    alike = [resource for resource in resources().values() if NAMES[resource["Type"]] == name]
    for wanted in set(named.split(", ")) - NOT_THERE - BY_DEFAULT:
        assert all(wanted in {**resource, **resource["Properties"]} for resource in alike), wanted
    for unwanted in set(named.split(", ")) & NOT_THERE:
        assert all(unwanted not in resource["Properties"] for resource in alike), unwanted
    for default in set(named.split(", ")) & BY_DEFAULT:
        assert all(resource["Properties"].get(default, True) is True for resource in alike), default


@pytest.mark.parametrize("logical_id", sorted(resources()))
def test_what_is_suppressed_stands_in_the_table_as_suppressed(logical_id: str) -> None:
    resource = resources()[logical_id]
    suppressed = {skip["id"] for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])}
    rows = [row for row in ROWS if row[0] == NAMES[resource["Type"]] and "uppressed" in row[3]]

    assert suppressed == {rule for row in rows for rule in re.findall(r"CKV_AWS_\d+", row[2])}
