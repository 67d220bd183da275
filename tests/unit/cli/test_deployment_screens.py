"""What a deployment will change, and what is in force, as people see it."""

from typing import TYPE_CHECKING, Any, cast

from cli.deployment_screens import Preview, drift, parameters_screen, preview_screen
from cli.output import View, text_of
from cli.stacks import Stack, resource_changes
from tests.fakes.cloudformation import ARN, FakeCloudFormation
from tests.screens import check_screen

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient

DIGEST = "0123456789abcdef" * 4
IN_FORCE = {
    "EnvironmentSuffix": "staging",
    "Environment": "staging",
    "DueScheduleExpression": "rate(5 minutes)",
    "CodeKey": f"inventory-updater/{DIGEST}.zip",
    "Segments": "8",
    "GoneParameter": "7",
}
WANTED = {name: value for name, value in IN_FORCE.items() if name != "GoneParameter"}
STACK = Stack(ARN, "UPDATE_COMPLETE", IN_FORCE, {}, has_termination_protection=True)


def changed(resource: str, kind: str, replacement: str, *names: str, dynamic: str = "") -> dict[str, Any]:
    """A change as DescribeChangeSet has it: of the properties `names` for certain, of `dynamic` perhaps."""
    details = [{"Target": {"Attribute": "Properties", "Name": name}, "Evaluation": "Static"} for name in names]
    if dynamic:
        details.append({"Target": {"Attribute": "Properties", "Name": dynamic}, "Evaluation": "Dynamic"})
    described = {"Action": "Modify", "LogicalResourceId": resource, "ResourceType": f"AWS::{kind}", "Details": details}
    return described | {"Replacement": replacement}


def preview(before: Stack | None, wanted: dict[str, str], *changes: dict[str, Any]) -> Preview:
    client = cast("CloudFormationClient", FakeCloudFormation(changes=list(changes)))
    return Preview(before, wanted, resource_changes(client, "inventory-updater-staging", "arn"))


def test_a_change_of_schedule_is_shown_with_both_values() -> None:
    later = WANTED | {"DueScheduleExpression": "rate(15 minutes)"}
    change = changed("DueSchedule", "Scheduler::Schedule", "False", "ScheduleExpression")

    check_screen("deploy-schedule", lambda view: preview_screen(preview(STACK, later, change), view))


def test_a_change_of_code_shows_only_the_beginning_of_its_hash_and_counts_those_with_new_tags() -> None:
    newer = IN_FORCE | {"CodeKey": f"inventory-updater/{DIGEST[::-1]}.zip"}
    changes = [
        changed("Function", "Lambda::Function", "False", "Code", "Tags"),
        changed("StateMachine", "StepFunctions::StateMachine", "False", dynamic="DefinitionString"),
        *(changed(f"Alarm{number}", "CloudWatch::Alarm", "False", "Tags") for number in range(3)),
    ]

    check_screen("deploy-code", lambda view: preview_screen(preview(STACK, newer, *changes), view))


def test_a_table_that_is_replaced_is_said_to_be_empty() -> None:
    other = IN_FORCE | {"EnvironmentSuffix": "shop"}
    changes = [
        changed("InventoryTable", "DynamoDB::Table", "True", "TableName"),
        changed("Function", "Lambda::Function", "Conditional", "Environment", "FunctionName"),
        {"Action": "Remove", "LogicalResourceId": "DueSilenceAlarm", "ResourceType": "AWS::CloudWatch::Alarm"},
        {"Action": "Add", "LogicalResourceId": "Key", "ResourceType": "AWS::KMS::Key"},
    ]

    check_screen("deploy-replacement", lambda view: preview_screen(preview(STACK, other, *changes), view))


def test_a_first_deployment_says_how_much_it_creates() -> None:
    changes = [{"Action": "Add", "LogicalResourceId": name, "ResourceType": "AWS::SQS::Queue"} for name in "ab"]

    assert text_of(preview_screen(preview(None, WANTED, *changes), View()), View()) == (
        "A first deployment: it creates 2 resources.\n"
    )


def test_where_nothing_is_new_there_is_nothing_to_deploy() -> None:
    screen = preview_screen(preview(STACK, IN_FORCE), View())
    assert text_of(screen, View()) == "Nothing to deploy: the stack is up to date.\n"


def test_what_is_in_force_is_shown_beside_what_the_file_says_otherwise() -> None:
    wanted = WANTED | {"Segments": "4", "NewParameter": "1"}
    del wanted["CodeKey"]

    check_screen("deploy-show", lambda view: parameters_screen(STACK, wanted, view))
    assert drift(STACK, wanted) == {"GoneParameter": ("7", None), "NewParameter": (None, "1"), "Segments": ("8", "4")}
