"""A first deployment with the schedules on: it runs the job that the alarms of silence wait for."""

from typing import TYPE_CHECKING, Final

import pytest

from cli.engine import Engine
from inventory_updater import __version__
from tests.engines import Script, make_client
from tests.stacks import deploy

if TYPE_CHECKING:
    from types_boto3_cloudwatch.client import CloudWatchClient
    from types_boto3_s3.client import S3Client
    from types_boto3_stepfunctions.client import SFNClient

NAME: Final = "inventory-updater-local"
# Rare enough not to fire while a test looks.
ON: Final = {
    "DueScheduleState": "ENABLED",
    "DueScheduleExpression": "rate(12 hours)",
    "DueSilenceMinutes": "1440",
    "AllScheduleState": "ENABLED",
}


def executions_of(server: Engine, deployed: Script) -> dict[str, str]:
    """The status of each execution."""
    client: SFNClient = make_client("stepfunctions", server.endpoint_url)
    answer = client.list_executions(stateMachineArn=deployed.answer["outputs"]["StateMachineArn"])
    return {execution["name"]: execution["status"] for execution in answer["executions"]}


def test_a_window_that_is_too_short_is_refused_before_anything_is_uploaded(server: Engine) -> None:
    refused = deploy(server, NAME, ON | {"DueSilenceMinutes": "1439"})
    client: S3Client = make_client("s3", server.endpoint_url)

    assert 2 == refused.status
    assert refused.errors.startswith("error: DueSilenceMinutes=1439 is too short for rate(12 hours)")
    assert [] == client.list_buckets()["Buckets"]


def test_only_a_first_deployment_runs_a_job_over_all_items_and_waits_for_it(server: Engine) -> None:
    first, again = deploy(server, NAME, ON), deploy(server, NAME, ON | {"PageSize": "7"})
    job = first.answer["first_job"]

    assert ("SUCCEEDED", "all") == (job["status"], job["scope"])
    assert f"first job {job['job_id']}: SUCCEEDED" in first.errors
    assert "AllSilenceHours=50 was not compared with cron(0 3 * * ? *)" in first.errors
    assert "first_job" not in again.answer
    assert __version__ == first.answer["version"] == first.answer["outputs"]["Version"]
    assert {job["job_id"]: "SUCCEEDED"} == executions_of(server, first)


def test_a_schedule_that_is_on_has_its_alarm_of_silence(server: Engine) -> None:
    client: CloudWatchClient = make_client("cloudwatch", server.endpoint_url)
    expected = {"inventory-updater-due-silence-local": 1440, "inventory-updater-all-silence-local": 50}
    alarms = client.describe_alarms(AlarmNames=list(expected))["MetricAlarms"]

    assert expected == {alarm["AlarmName"]: alarm["Threshold"] for alarm in alarms}


@pytest.mark.slow
def test_the_first_job_can_be_left_out_and_is_where_no_schedule_is_on(server: Engine) -> None:
    quiet = deploy(server, "inventory-updater-quiet", ON | {"EnvironmentSuffix": "quiet"}, "--no-first-job")
    off = deploy(server, "inventory-updater-off", {"EnvironmentSuffix": "off"})

    for deployed in (quiet, off):
        assert (0, {}) == (deployed.status, executions_of(server, deployed))
