"""A first deployment with the schedules on: it starts the jobs that the alarms of silence wait for."""

from typing import TYPE_CHECKING

from cli.engine import Engine
from inventory_updater import __version__
from tests.engines import make_client, run_script
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_s3.client import S3Client
    from types_boto3_stepfunctions.client import SFNClient

DEPLOY = ("deploy", "--environment", "local", "--json")
# Rare enough not to fire while a test looks.
ON = (
    "--parameter=DueScheduleState=ENABLED",
    "--parameter=DueScheduleExpression=rate(12 hours)",
    "--parameter=DueSilenceMinutes=1440",
    "--parameter=AllScheduleState=ENABLED",
)


def test_a_window_that_is_too_short_is_refused_before_anything_is_uploaded(server: Engine) -> None:
    refused = run_script(server, *DEPLOY, *ON, "--parameter=DueSilenceMinutes=1439")
    client: S3Client = make_client("s3", server.endpoint_url)

    assert 2 == refused.status
    assert refused.errors.startswith("error: DueSilenceMinutes=1439 is too short for rate(12 hours)")
    assert [] == client.list_buckets()["Buckets"]


def test_only_a_first_deployment_starts_a_job_of_each_scope(server: Engine) -> None:
    first = run_script(server, *DEPLOY, *ON)
    again = run_script(server, *DEPLOY, *ON, "--parameter=PageSize=7")
    machine = first.answer["outputs"]["StateMachineArn"]
    client: SFNClient = make_client("stepfunctions", server.endpoint_url)
    wait_until(
        lambda: not client.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"],
        "the first jobs do not end",
    )

    started = first.answer["first_jobs"]
    assert [name.split("-")[1] for name in started] == ["due", "all"]
    assert "AllSilenceHours=50 was not compared with cron(0 3 * * ? *)" in first.errors
    assert "started the first jobs" in first.errors
    assert "first_jobs" not in again.answer
    assert __version__ == first.answer["version"] == first.answer["outputs"]["Version"]
    assert dict.fromkeys(started, "SUCCEEDED") == {
        execution["name"]: execution["status"]
        for execution in client.list_executions(stateMachineArn=machine)["executions"]
    }


def test_a_schedule_that_is_on_has_its_alarm_of_silence(server: Engine) -> None:
    client: CloudWatchClient = make_client("cloudwatch", server.endpoint_url)
    alarms = client.describe_alarms(
        AlarmNames=["inventory-updater-due-silence-local", "inventory-updater-all-silence-local"]
    )

    assert {"inventory-updater-due-silence-local": 1440, "inventory-updater-all-silence-local": 50} == {
        alarm["AlarmName"]: alarm["Threshold"] for alarm in alarms["MetricAlarms"]
    }


def test_the_first_jobs_can_be_left_out(server: Engine) -> None:
    deployed = run_script(
        server,
        *DEPLOY,
        *ON,
        "--stack=inventory-updater-quiet",
        "--parameter=EnvironmentSuffix=quiet",
        "--no-first-jobs",
    )
    client: SFNClient = make_client("stepfunctions", server.endpoint_url)

    assert 0 == deployed.status
    assert [] == client.list_executions(stateMachineArn=deployed.answer["outputs"]["StateMachineArn"])["executions"]
