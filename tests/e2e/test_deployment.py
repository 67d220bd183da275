"""The template, deployed through the real AWS CLI."""

import json
from typing import TYPE_CHECKING, Any

from cli.engine import Engine
from tests.engines import run_script
from tests.stacks import Stack, deploy_stack

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_stepfunctions.client import SFNClient


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


def test_the_deployed_definition_has_numbers_for_numbers(stack: Stack) -> None:
    client: SFNClient = stack.client("stepfunctions")
    machine = client.describe_state_machine(stateMachineArn=stack.outputs["StateMachineArn"])

    assert 21600 == json.loads(machine["definition"])["TimeoutSeconds"]


def test_a_second_deployment_of_the_same_is_no_error_and_changes_nothing(stack: Stack) -> None:
    client: CloudFormationClient = stack.client("cloudformation")
    before = client.describe_stack_events(StackName=stack.name)["StackEvents"]

    again = stack.script("deploy", "--environment", "local", "--yes")

    assert (0, len(before)) == (again.status, len(client.describe_stack_events(StackName=stack.name)["StackEvents"]))


def test_a_parameter_on_the_command_line_wins_over_the_file(server: Engine) -> None:
    stack = deploy_stack(server, "inventory-updater-other", EnvironmentSuffix="other", PageSize="7")
    client: LambdaClient = stack.client("lambda")
    configuration: Any = client.get_function_configuration(FunctionName=stack.outputs["FunctionName"])

    assert ("inventory-updater-other", "7", "other") == (
        stack.outputs["FunctionName"],
        configuration["Environment"]["Variables"]["PAGE_SIZE"],
        configuration["Environment"]["Variables"]["ENVIRONMENT"],
    )
    assert 0 == stack.script("deploy", "--environment", "local", "--delete", "--yes", stack.name).status


def test_a_parameter_that_the_template_refuses_is_reported_in_its_own_words(server: Engine) -> None:
    refused = run_script(
        server,
        "deploy",
        "--environment",
        "local",
        "--yes",
        "--stack",
        "inventory-updater-bad",
        "--parameter=Segments=41",
    )

    assert 1 == refused.status
    assert "Segments" in refused.errors
    assert "40" in refused.errors


def test_a_parameter_that_the_template_does_not_have_is_bad_input(server: Engine) -> None:
    refused = run_script(server, "deploy", "--environment", "local", "--parameter=Segment=4")

    assert (2, "error: template.yaml has no parameter Segment\n") == (refused.status, refused.errors)


def test_deleting_a_stack_that_does_not_exist_is_bad_input_unless_that_is_fine(server: Engine) -> None:
    refused = run_script(server, "deploy", "--stack", "inventory-updater-none", "--delete")
    allowed = run_script(server, "deploy", "--stack", "inventory-updater-none", "--delete", "--if-exists")

    assert (2, "error: there is no stack inventory-updater-none in eu-west-1\n") == (refused.status, refused.errors)
    assert 0 == allowed.status
