"""The schedules of a deployed stack, paused and resumed without a deployment."""

import json
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_scheduler import EventBridgeSchedulerClient

ON: Final = {"DueScheduleExpression": "rate(1 minute)", "DueScheduleState": "ENABLED"}


def jobs_started_by(stack: Stack, trigger: str) -> list[dict[str, Any]]:
    return [job for job in stack.script("job", "list", "--json").answer["jobs"] if job["trigger"] == trigger]


def make_a_witness(stack: Stack) -> None:
    """Make another schedule of one minute that starts the same state machine, as if by hand."""
    client: EventBridgeSchedulerClient = stack.client("scheduler")
    group = stack.outputs["ScheduleGroupName"]
    target = client.get_schedule(GroupName=group, Name="inventory-updater-due-local")["Target"]
    event = json.dumps({"scope": "due", "trigger": "manual"})
    client.create_schedule(
        GroupName=group,
        Name="witness",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target["Arn"], "RoleArn": target["RoleArn"], "Input": event},
    )


@pytest.mark.slow
def test_a_paused_schedule_starts_no_job_until_it_is_resumed(server: Engine) -> None:
    stack = deploy_stack(server, "inventory-updater-test", **ON)
    paused = stack.script("job", "pause", "--json")
    # Made after the paused one, with the same rate: when it has fired, the other one has had its time.
    make_a_witness(stack)

    assert {"schedules": {"due": "PAUSED", "all": "DISABLED"}, "changed": ["due"]} == paused.answer
    assert "paused: due (until job.py resume)" in stack.script("job", "list").output
    wait_until(lambda: jobs_started_by(stack, "manual"), "the witness does not fire")
    assert [] == jobs_started_by(stack, "schedule")

    resumed = stack.script("job", "resume", "--json")
    assert {"schedules": {"due": "ENABLED", "all": "DISABLED"}, "changed": ["due"]} == resumed.answer
    wait_until(lambda: jobs_started_by(stack, "schedule"), "the resumed schedule does not fire")
    assert "paused" not in stack.script("job", "list").output
