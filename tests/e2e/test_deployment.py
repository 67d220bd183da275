"""The template, deployed through the real AWS CLI."""

import re
from typing import TYPE_CHECKING, Any

from cli.engine import Engine
from tests.engines import run_script
from tests.stacks import Stack, deploy, deploy_stack

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_lambda.client import LambdaClient


def test_a_deployment_answers_with_every_output(stack: Stack) -> None:
    assert {
        "InventoryTableName": "inventory-local",
        "JobsTableName": "inventory-jobs-local",
        "FunctionName": "inventory-updater-local",
        "FunctionLogGroupName": "/aws/lambda/inventory-updater-local",
        "ScheduleGroupName": "inventory-updater-local",
        "Environment": "local",
    }.items() <= stack.outputs.items()
    assert stack.outputs["StateMachineArn"].endswith(":stateMachine:inventory-updater-local")
    assert stack.outputs["DeadLetterQueueUrl"].endswith("/inventory-updater-undelivered-local")


def test_a_second_deployment_of_the_same_is_no_error_and_changes_nothing(stack: Stack) -> None:
    client: CloudFormationClient = stack.client("cloudformation")
    before = client.describe_stack_events(StackName=stack.name)["StackEvents"]

    again = deploy(stack.engine, stack.name, {})

    assert (0, len(before)) == (again.status, len(client.describe_stack_events(StackName=stack.name)["StackEvents"]))


def test_a_parameter_on_the_command_line_wins_over_the_file(server: Engine) -> None:
    stack = deploy_stack(server, "inventory-updater-other", EnvironmentSuffix="other", PageSize="7")
    client: LambdaClient = stack.client("lambda")
    found: Any = client.get_function_configuration(FunctionName="inventory-updater-other")["Environment"]["Variables"]

    assert stack.outputs["FunctionName"] == "inventory-updater-other"
    assert ("7", "other") == (found["PAGE_SIZE"], found["ENVIRONMENT"])
    assert 0 == stack.script("deploy", "--environment", "local", "--delete", "--yes", stack.name).status


def test_a_parameter_that_the_template_refuses_is_reported_in_its_own_words(server: Engine) -> None:
    refused = deploy(server, "inventory-updater-bad", {"Segments": "41"})

    assert 1 == refused.status
    assert re.search("Segments.*40", refused.errors)


def test_a_parameter_that_the_template_does_not_have_is_bad_input(server: Engine) -> None:
    refused = deploy(server, "inventory-updater-bad", {"Segment": "4"})

    assert (2, "error: template.yaml has no parameter Segment\n") == (refused.status, refused.errors)


def test_deleting_a_stack_that_does_not_exist_is_bad_input_unless_that_is_fine(server: Engine) -> None:
    refused = run_script(server, "deploy", "--stack", "inventory-updater-none", "--delete")
    allowed = run_script(server, "deploy", "--stack", "inventory-updater-none", "--delete", "--if-exists")

    assert (2, "error: there is no stack inventory-updater-none in eu-west-1\n") == (refused.status, refused.errors)
    assert 0 == allowed.status
