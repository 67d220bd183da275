"""A first deployment with the schedules on: it runs the job that the alarms of silence wait for."""

from typing import TYPE_CHECKING

from cli.engine import Engine
from inventory_updater import __version__
from tests.engines import make_client, run_script

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_s3.client import S3Client
    from types_boto3_stepfunctions.client import SFNClient

DEPLOY = ("deploy", "--environment", "local", "--yes", "--json")
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


def test_only_a_first_deployment_runs_a_job_over_all_items_and_waits_for_it(server: Engine) -> None:
    first = run_script(server, *DEPLOY, *ON)
    again = run_script(server, *DEPLOY, *ON, "--parameter=PageSize=7")
    client: SFNClient = make_client("stepfunctions", server.endpoint_url)
    (job,) = client.list_executions(stateMachineArn=first.answer["outputs"]["StateMachineArn"])["executions"]

    assert ("SUCCEEDED", "all", job["name"]) == tuple(
        first.answer["first_job"][name] for name in ("status", "scope", "job_id")
    )
    assert "SUCCEEDED" == job["status"]
    assert f"first job {job['name']}: SUCCEEDED" in first.errors
    assert "AllSilenceHours=50 was not compared with cron(0 3 * * ? *)" in first.errors
    assert "first_job" not in again.answer
    assert __version__ == first.answer["version"] == first.answer["outputs"]["Version"]


def test_a_schedule_that_is_on_has_its_alarm_of_silence(server: Engine) -> None:
    client: CloudWatchClient = make_client("cloudwatch", server.endpoint_url)
    alarms = client.describe_alarms(
        AlarmNames=["inventory-updater-due-silence-local", "inventory-updater-all-silence-local"]
    )

    assert {"inventory-updater-due-silence-local": 1440, "inventory-updater-all-silence-local": 50} == {
        alarm["AlarmName"]: alarm["Threshold"] for alarm in alarms["MetricAlarms"]
    }


def test_the_first_job_can_be_left_out(server: Engine) -> None:
    deployed = run_script(
        server,
        *DEPLOY,
        *ON,
        "--stack=inventory-updater-quiet",
        "--parameter=EnvironmentSuffix=quiet",
        "--no-first-job",
    )
    client: SFNClient = make_client("stepfunctions", server.endpoint_url)

    assert 0 == deployed.status
    assert [] == client.list_executions(stateMachineArn=deployed.answer["outputs"]["StateMachineArn"])["executions"]
