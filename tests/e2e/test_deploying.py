"""What a deployment onto a deployed stack changes, what it leaves as it is, and what happens when it fails."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from cli.deploying import change_set_command
from cli.engine import CHECKOUT, REGION, Engine
from cli.packaging import build_package, ensure_code_bucket, upload_package
from cli.parameters import declared_parameters, wanted_parameters
from cli.stacks import find_stack
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import change, item_attributes, stocked, with_a_sale
from tests.cloudformation import template_before_alarms
from tests.engines import Script, make_client, run_script
from tests.shop import change_table
from tests.stacks import Stack, deploy

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_s3.client import S3Client
    from types_boto3_scheduler.client import EventBridgeSchedulerClient


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose function has a line more than that of this one."""
    copy = tmp_path / "checkout"
    for name in ("scripts", "src", "parameters"):
        shutil.copytree(CHECKOUT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(CHECKOUT / "template.yaml", copy)
    with (copy / "src" / "inventory_updater" / "handler.py").open("a", encoding="utf-8") as file:
        file.write(f"\n# Changed by {tmp_path.name}.\n")
    return copy


def deploy_again(stack: Stack, checkout: Path = CHECKOUT, **parameters: str) -> Script:
    """Deploy onto the stack a second after whatever came before: the AWS CLI names a change set by the second."""
    time.sleep(1)
    return deploy(stack.engine, stack.name, parameters, "--no-first-job", checkout=checkout)


def latest_changes(stack: Stack) -> list[Any]:
    """The changes of the last deployment, each with the details that say why."""
    client: CloudFormationClient = stack.client("cloudformation")
    sets = client.list_change_sets(StackName=stack.name)["Summaries"]
    latest = max(sets, key=lambda summary: summary["CreationTime"])
    changes = client.describe_change_set(StackName=stack.name, ChangeSetName=latest["ChangeSetId"])["Changes"]
    return [each["ResourceChange"] for each in changes]


def changed_properties(stack: Stack) -> set[tuple[str, str]]:
    """The properties that the last deployment changed, each with its resource.

    Without those that CloudFormation evaluates again only because they refer to something that changes: an ARN stays.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html
    """
    return {
        (each["LogicalResourceId"], detail["Target"]["Name"])
        for each in latest_changes(stack)
        for detail in each["Details"]
        if detail["Evaluation"] == "Static"
    }


def status_of(stack: Stack) -> str:
    client: CloudFormationClient = stack.client("cloudformation")
    return client.describe_stacks(StackName=stack.name)["Stacks"][0]["StackStatus"]


def parameters_of(stack: Stack) -> Mapping[str, str]:
    found = find_stack(stack.client("cloudformation"), stack.name)
    assert found is not None
    return found.parameters


def code_of(stack: Stack) -> str:
    client: LambdaClient = stack.client("lambda")
    return client.get_function_configuration(FunctionName=stack.outputs["FunctionName"])["CodeSha256"]


def expression_of(stack: Stack) -> str:
    client: EventBridgeSchedulerClient = stack.client("scheduler")
    schedule = client.get_schedule(GroupName=stack.outputs["ScheduleGroupName"], Name="inventory-updater-due-local")
    return schedule["ScheduleExpression"]


def damage_the_upload_of(checkout: Path, stack: Stack) -> None:
    """Put something into the bucket that is no archive, where the package of that checkout would go."""
    key = run_script(stack.engine, "deploy", "--build-only", "--json", checkout=checkout).answer["key"]
    client: S3Client = stack.client("s3")
    names = (each["Name"] for each in client.list_buckets()["Buckets"])
    (bucket,) = (name for name in names if name.startswith("inventory-updater-code-") and name.endswith(REGION))
    client.put_object(Bucket=bucket, Key=key, Body=b"not an archive")


# What changes


@pytest.mark.slow
def test_new_code_alone_updates_only_the_functions(stack: Stack, checkout: Path) -> None:
    before = code_of(stack)
    deployed = deploy_again(stack, checkout)

    assert 0 == deployed.status, deployed.errors
    assert {("Function", "Code"), ("IntakeFunction", "Code")} == changed_properties(stack)
    assert {"False"} == {each["Replacement"] for each in latest_changes(stack)}
    assert before != code_of(stack)
    assert "SUCCEEDED" == stack.run_job().execution_status


@pytest.mark.slow
def test_a_new_schedule_alone_updates_only_that_schedule(stack: Stack) -> None:
    deploy_again(stack)
    deploy_again(stack, DueScheduleExpression="rate(7 minutes)")

    assert {("DueSchedule", "ScheduleExpression")} == changed_properties(stack)
    assert ["DueSchedule"] == [each["LogicalResourceId"] for each in latest_changes(stack)]
    assert "rate(7 minutes)" == expression_of(stack)


@pytest.mark.slow
def test_a_parameter_that_is_not_given_any_more_is_back_at_its_default(stack: Stack) -> None:
    deploy_again(stack, PageSize="7")
    shown = stack.script("deploy", "show", "--environment", "local", "--json").answer
    time.sleep(1)
    preview = stack.script("deploy", "--environment", "local", "--preview", "--json").answer
    assert parameters_of(stack)["PageSize"] == "7"

    deploy_again(stack)

    assert shown["drift"] == {"PageSize": {"in_force": "7", "by_the_file": "250"}}
    assert preview["parameters"] == {"PageSize": {"now": "7", "then": "250"}}
    assert ("Function", ["Environment"]) in [(each["resource"], each["properties"]) for each in preview["changes"]]
    assert parameters_of(stack)["PageSize"] == "250"


@pytest.mark.slow
def test_a_pause_survives_a_deployment_that_writes_the_schedule_anew(stack: Stack) -> None:
    on = {"DueScheduleState": "ENABLED", "DueScheduleExpression": "rate(12 hours)", "DueSilenceMinutes": "1440"}
    deploy_again(stack, CHECKOUT, **on)
    assert 0 == stack.script("job", "pause").status

    deployed = deploy_again(stack, CHECKOUT, **on | {"DueScheduleExpression": "rate(11 hours)"})

    assert ["due"] == deployed.answer["paused"]
    assert "still paused: due (until job.py resume)" in deployed.errors
    assert "rate(11 hours)" == expression_of(stack)
    assert {"due": "PAUSED", "all": "DISABLED"} == stack.script("job", "list", "--json").answer["schedules"]
    deploy_again(stack)


def test_a_deployment_meant_for_another_stack_is_refused_and_changes_nothing(stack: Stack) -> None:
    before = status_of(stack), parameters_of(stack)
    for given in (["--environment", "dev"], ["--environment", "local", "--parameter=EnvironmentSuffix=loca1"]):
        refused = stack.script("deploy", "--yes", *given)

        assert 2 == refused.status
        assert f"the stack {stack.name} is another one: its EnvironmentSuffix is local, not " in refused.errors
    unasked = stack.script("deploy", "--environment", "local", "--parameter=PageSize=9")
    assert (2, True) == (unasked.status, "--yes deploys without asking" in unasked.errors)
    assert before == (status_of(stack), parameters_of(stack))


# Where


@pytest.mark.slow
def test_one_suffix_can_be_deployed_in_two_regions(server: Engine, stack: Stack) -> None:
    there = run_script(
        server,
        *("deploy", "--environment", "local", "--stack", stack.name, "--yes", "--json"),
        environment={"AWS_REGION": "eu-central-1"},
    )
    client: CloudFormationClient = make_client("cloudformation", server.endpoint_url, region_name="eu-central-1")
    physical = {
        region: {
            (each["LogicalResourceId"], each["PhysicalResourceId"])
            for each in each_client.describe_stack_resources(StackName=stack.name)["StackResources"]
            if each["ResourceType"].startswith(("AWS::IAM::", "AWS::CloudWatch::Dashboard"))
        }
        for region, each_client in (("eu-west-1", stack.client("cloudformation")), ("eu-central-1", client))
    }

    assert 0 == there.status, there.errors
    assert {"stack": stack.name, "account": "000000000000", "region": "eu-central-1"} == there.place
    assert [5, 5] == [len(names) for names in physical.values()]
    assert set() == physical["eu-west-1"] & physical["eu-central-1"]
    assert "eu-central-1" in there.answer["outputs"]["StateMachineArn"]
    assert "SUCCEEDED" == stack.run_job().execution_status


# What fails


@pytest.mark.slow
def test_a_first_deployment_that_fails_says_what_to_do_and_is_deleted_only_by_name(
    server: Engine, checkout: Path
) -> None:
    template = checkout / "template.yaml"
    text = template.read_text(encoding="utf-8")
    broken = """Resources:

  Call:
    Type: AWS::CloudFormation::WaitConditionHandle
  Broken:  # nobody calls
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: [Dashboard, StateMachine]
    Properties: {Handle: !Ref Call, Timeout: "1"}
"""
    template.write_text(text.replace("Resources:\n", broken, 1), encoding="utf-8")
    deploying = ("deploy", "--environment", "staging", "--yes")

    failed = run_script(server, *deploying, checkout=checkout)
    again = run_script(server, *deploying)
    nameless = run_script(server, "deploy", "--environment", "staging", "--delete")
    gone = run_script(server, "deploy", "--environment", "staging", "--delete", "--yes", "inventory-updater-staging")

    way_out = "scripts/deploy.py --environment staging --delete --yes inventory-updater-staging"
    assert 1 == failed.status
    assert "inventory-updater-staging is in ROLLBACK_COMPLETE\n  Broken: CREATE_FAILED: " in failed.errors
    assert way_out in failed.errors
    assert (2, True) == (again.status, way_out in again.errors)
    assert (2, True) == (nameless.status, "nothing was deleted: confirm the stack's name" in nameless.errors)
    assert (0, "the stack inventory-updater-staging is deleted\n") == (gone.status, gone.output)
    assert 2 == run_script(server, "deploy", "--environment", "staging", "--delete", "--yes", "x").status


@pytest.mark.slow
def test_an_update_that_fails_is_rolled_back_and_says_why(stack: Stack, checkout: Path) -> None:
    deploy_again(stack, DueScheduleExpression="rate(7 minutes)")
    stack.put(with_a_sale())
    items, code = stack.items(), code_of(stack)
    damage_the_upload_of(checkout, stack)

    failed = deploy_again(stack, checkout, DueScheduleExpression="rate(9 minutes)")

    assert (1, "") == (failed.status, failed.output)
    assert re.search(r"is in UPDATE_ROLLBACK_COMPLETE\n  (Intake)?Function: UPDATE_FAILED: ", failed.errors)
    assert "Could not unzip uploaded file" in failed.errors
    assert ("UPDATE_ROLLBACK_COMPLETE", "rate(7 minutes)") == (status_of(stack), expression_of(stack))
    assert (code, items) == (code_of(stack), stack.items())

    deploy_again(stack, DueScheduleExpression="rate(9 minutes)")
    assert ("UPDATE_COMPLETE", "rate(9 minutes)") == (status_of(stack), expression_of(stack))
    run = stack.run_job().run
    assert (JobStatus.SUCCEEDED, 1) == (run and run.status, run and run.tally.changes_applied)


# What an upgrade keeps


def deploy_before_alarms(engine: Engine, stack: str, template: Path) -> Stack:
    """Deploy the template without its alarms as deploy.py would, which deploys only the template of today."""
    template.write_text(template_before_alarms(), encoding="utf-8")
    os.environ.update(engine.environment())
    session = boto3.Session()
    s3 = session.client("s3")
    account = session.client("sts").get_caller_identity()["Account"]
    package = build_package()
    bucket = ensure_code_bucket(s3, account, session.region_name)
    upload_package(s3, package, bucket, account)
    given = wanted_parameters("local", [("EnvironmentSuffix", "older")], declared_parameters())
    parameters = given | {"CodeBucket": bucket, "CodeKey": package.key, "PackageVersion": "0.1.0"}
    command = change_set_command(stack, session.region_name, parameters, bucket)
    command.remove("--no-execute-changeset")
    command[command.index("--template-file") + 1] = str(template)
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    found = find_stack(session.client("cloudformation"), stack)
    assert found is not None
    return Stack(engine, stack, found.outputs)


def run_here(stack: Stack) -> Run:
    """Run a job in this process: the function asks for a variable that the older template does not give it."""
    client, settings = stack.client("dynamodb"), Settings("older", *astuple(stack.tables))
    services = Services(
        dynamodb=client,
        inventory=InventoryTable(client, settings.inventory_table),
        changes=change_table(client, settings.changes_table, settings),
        jobs=stack.jobs,
        reports=Reporter("older", stack.client("cloudwatch")),
        settings=settings,
    )
    now = services.now()
    return run_job(services, JobRequest("before-the-upgrade", now, scope="due", as_of=now))


@pytest.mark.slow
def test_an_upgrade_from_before_the_alarms_keeps_every_item_its_changes_and_the_records(
    server: Engine, tmp_path: Path
) -> None:
    older = deploy_before_alarms(server, "inventory-updater-older", tmp_path / "template.json")
    older.put(
        with_a_sale("applied"),
        stocked(change("c1", value=-13), sku="rejected"),
        *(item_attributes(number, sku=f"plain-{number}") for number in range(100)),
    )
    first = run_here(older)
    older.put(*(stocked(change("c2", value=5), sku=f"waiting-{n}") for n in range(30)))
    items = older.items()

    upgraded = deploy_again(older, EnvironmentSuffix="older")
    newer = replace(older, outputs=upgraded.answer["outputs"])

    assert "AlertTopicArn" not in older.outputs
    assert "AlertTopicArn" in newer.outputs
    assert older.outputs.items() <= newer.outputs.items()
    assert 132 == len(items)
    assert items == newer.items()
    assert (1, 1) == (first.tally.changes_applied, first.tally.changes_rejected)
    assert first == newer.jobs.run(first.job_id)

    second = newer.run_job().run
    assert second is not None
    assert JobStatus.SUCCEEDED == second.status
    assert (30, 30) == (second.tally.items_updated, second.tally.changes_applied)
    assert {15} == {item["on_hand"] for sku, item in newer.items().items() if str(sku).startswith("wait")}
