"""docs/security.md: who may do what on which table, and a table of rules about everything in the template."""

import re
from collections.abc import Iterable
from typing import Any, Final

from tests.cloudformation import TEMPLATE, granted, load_template, statements
from tests.unit.template.test_policies import DOCUMENTS, grants

RESOURCES: Final = load_template()["Resources"]
PAGE: Final = (TEMPLATE.parent / "docs" / "security.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The rows of the table under a heading."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")
    ][2:]


ROWS: Final = rows("Rules")

# How the page calls the resources of a type, and those of them that have rows of their own.
NAMES: Final = {
    "AWS::CloudWatch::Alarm": "alarms",
    "AWS::CloudWatch::Dashboard": "dashboard",
    "AWS::DynamoDB::Table": "tables",
    "AWS::IAM::Role": "roles",
    "AWS::KMS::Alias": "key alias",
    "AWS::KMS::Key": "key",
    "AWS::Lambda::EventSourceMapping": "mapping",
    "AWS::Lambda::Function": "function",
    "AWS::Logs::LogGroup": "log groups",
    "AWS::S3::Bucket": "bucket",
    "AWS::S3::BucketPolicy": "bucket policy",
    "AWS::SNS::Subscription": "subscription",
    "AWS::SNS::Topic": "topic",
    "AWS::SNS::TopicPolicy": "topic policy",
    "AWS::SQS::Queue": "queues",
    "AWS::SQS::QueuePolicy": "queue policies",
    "AWS::Scheduler::Schedule": "schedules",
    "AWS::Scheduler::ScheduleGroup": "schedule group",
    "AWS::StepFunctions::StateMachine": "state machine",
}
CALLED: Final = {name: NAMES[resource["Type"]] for name, resource in RESOURCES.items()} | {
    "IntakeFunction": "function of the intake"
}
OUTSIDE_THE_TEMPLATE: Final = {"code bucket (created by `deploy.py`)"}

# What a rule asks for although the template, rightly, does not have it; `permission` is a resource of its own on AWS.
NOT_THERE: Final = {
    *("(backup plan)", "permission", "VpcConfig", "DeadLetterConfig"),
    *("(reserved concurrency)", "(access log)", "(object lock)"),
}
# What a resource has by default.
BY_DEFAULT: Final = {"ActionsEnabled"}


def test_every_kind_of_resource_has_its_rows_and_every_row_its_resource() -> None:
    assert {resource["Type"] for resource in RESOURCES.values()} == NAMES.keys()
    assert set(CALLED.values()) | OUTSIDE_THE_TEMPLATE == {row[0] for row in ROWS}


def test_a_row_names_properties_that_every_such_resource_has_a_rule_and_how_it_is_met() -> None:
    in_template = [row for row in ROWS if row[0] not in OUTSIDE_THE_TEMPLATE]

    assert [] == [row for row in ROWS if not all(row)]
    assert [] == [
        (name, each)
        for name, named, _, _ in in_template
        for each in named.split(", ")
        for logical_id, resource in RESOURCES.items()
        if CALLED[logical_id] == name and not is_as_the_page_says(resource, each)
    ]


def is_as_the_page_says(resource: Any, named: str) -> bool:
    """Whether a resource has what a row names, or rightly does not."""
    if named in NOT_THERE:
        return named not in resource["Properties"]
    if named in BY_DEFAULT:
        return resource["Properties"].get(named, True) is True
    return named in {**resource, **resource["Properties"]}


def test_what_is_suppressed_in_the_template_is_suppressed_on_the_page() -> None:
    in_template = {
        (CALLED[name], skip["id"])
        for name, resource in RESOURCES.items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    on_the_page = [row for row in ROWS if "uppressed" in row[3]]

    assert in_template == {(row[0], rule) for row in on_the_page for rule in re.findall(r"CKV_AWS_\d+", row[2])}


def on_each_table(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """What is granted on the items of each table, as the page writes it."""
    tables = (
        ("InventoryTable.Arn", "/inventory-prod"),
        ("ChangesTable.Arn", "/inventory-changes-prod"),
        ("JobsTable.Arn", "/inventory-jobs-prod"),
    )
    of_items = re.compile("dynamodb:(.+Item|Query|Scan|PartiQL.+)")
    found = [(action, resource) for action, resource in pairs if of_items.fullmatch(action)]
    return [
        ", ".join(sorted(action.removeprefix("dynamodb:") for action, resource in found if resource.endswith(table)))
        or "-"
        for table in tables
    ]


def test_the_function_and_people_may_do_with_the_tables_what_the_page_says() -> None:
    people = [[f"`{name}.json`", *on_each_table(grants(name))] for name in DOCUMENTS]

    functions = [
        ["the function", *on_each_table(granted(statements("FunctionRole")))],
        ["the function of the intake", *on_each_table(granted(statements("IntakeRole")))],
    ]
    assert rows("Tables") == [*functions, *people]
