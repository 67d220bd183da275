"""What a deployment onto a deployed stack changes, what it leaves as it is, and what happens when it fails."""

import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from cli import deploying
from cli.deployments import stack_outputs
from cli.engine import CHECKOUT, Engine
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import change, item_attributes, with_a_sale
from tests.cloudformation import template_before_alarms
from tests.engines import Script, run_script
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
    return deploy(stack.engine, stack.name, parameters, "--no-first-jobs", checkout=checkout)


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
    bucket = client.list_buckets()["Buckets"][0]["Name"]
    client.put_object(Bucket=bucket, Key=key, Body=b"not an archive")


# What changes


def test_new_code_alone_updates_only_the_function(stack: Stack, checkout: Path) -> None:
    before = code_of(stack)
    deployed = deploy_again(stack, checkout)

    assert 0 == deployed.status, deployed.errors
    assert {("Function", "Code")} == changed_properties(stack)
    assert {"False"} == {each["Replacement"] for each in latest_changes(stack)}
    assert before != code_of(stack)
    assert "SUCCEEDED" == stack.run_job().execution_status


def test_a_new_schedule_alone_updates_only_that_schedule(stack: Stack) -> None:
    deploy_again(stack)
    deploy_again(stack, DueScheduleExpression="rate(7 minutes)")

    assert {("DueSchedule", "ScheduleExpression")} == changed_properties(stack)
    assert ["DueSchedule"] == [each["LogicalResourceId"] for each in latest_changes(stack)]
    assert "rate(7 minutes)" == expression_of(stack)


# What fails


def test_an_update_that_fails_is_rolled_back_and_says_why(stack: Stack, checkout: Path) -> None:
    deploy_again(stack, DueScheduleExpression="rate(7 minutes)")
    stack.put(with_a_sale())
    items, code = stack.items(), code_of(stack)
    damage_the_upload_of(checkout, stack)

    failed = deploy_again(stack, checkout, DueScheduleExpression="rate(9 minutes)")

    assert (1, "") == (failed.status, failed.output)
    assert "error: the deployment failed\n  Function: UPDATE_FAILED: " in failed.errors
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
    package = deploying.build_package()
    bucket = deploying.ensure_code_bucket(s3, account, session.region_name)
    deploying.upload_package(s3, package, bucket, account)
    parameters = deploying.read_parameters(CHECKOUT / "parameters" / "local.json")
    given = {"EnvironmentSuffix": "older", "CodeBucket": bucket, "CodeKey": package.key}
    command = deploying.deploy_command(deploying.StackDefinition(stack, parameters | given), bucket)
    command[command.index("--template-file") + 1] = str(template)
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return Stack(engine, stack, stack_outputs(session.client("cloudformation"), stack))


def run_here(stack: Stack) -> Run:
    """Run a job in this process: the function asks for a variable that the older template does not give it."""
    inventory, jobs = stack.outputs["InventoryTableName"], stack.outputs["JobsTableName"]
    services = Services(
        inventory=InventoryTable(stack.client("dynamodb"), inventory),
        jobs=stack.jobs,
        reports=Reporter("older", stack.client("cloudwatch")),
        settings=Settings(environment="older", inventory_table=inventory, jobs_table=jobs),
    )
    now = services.now()
    return run_job(services, JobRequest("before-the-upgrade", now, scope="due", as_of=now))


def test_an_upgrade_from_before_the_alarms_keeps_every_item_its_changes_and_the_records(
    server: Engine, tmp_path: Path
) -> None:
    older = deploy_before_alarms(server, "inventory-updater-older", tmp_path / "template.json")
    older.put(
        with_a_sale("applied"),
        with_a_sale("rejected", pending=[change("c1", value=-13)]),
        *(item_attributes(number, sku=f"plain-{number}") for number in range(100)),
    )
    first = run_here(older)
    older.put(*(item_attributes(10, sku=f"waiting-{n}", pending=[change("c2", value=5)]) for n in range(30)))
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
