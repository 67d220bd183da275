"""Parameters that change what a job does: deployed, changed by a second deployment in place, and looked at.

What the embedded engine does not honour is read in the template, in tests/unit/template/test_resources.py.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from tests.builders import change, stocked
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_scheduler.client import EventBridgeSchedulerClient

ITEMS: Final = 12

# Each parameter: a value and what is seen of it, another value and what is seen then.
PARAMETERS: Final[Mapping[str, tuple[str, object, str, object]]] = {
    # The segments of the run, and the calls of the function for them.
    "Segments": ("1", (1, 1), "3", (3, 3)),
    # Whether a job of so many changes is small enough to be settled when it is opened.
    "PageSize": ("250", True, "2", False),
    # What is on hand after a sale of 20 out of 10, and how many changes are rejected.
    "AllowNegativeStock": ("false", (10, 1), "true", (-10, 0)),
    # How many days the record of a change is kept: one more than a door takes changes of that age.
    "ChangeRetentionDays": ("7", 8, "60", 61),
    # How many days the record of the job is kept.
    "JobRetentionDays": ("30", 30, "90", 90),
    # The engine keeps the level and goes by Python's own, WARNING; on AWS the runtime goes by it.
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    "LogLevel": ("INFO", "INFO", "WARN", "WARN"),
    "DueScheduleExpression": ("rate(6 hours)", "rate(6 hours)", "cron(0 4 ? * MON *)", "cron(0 4 ? * MON *)"),
    "DueScheduleState": ("ENABLED", "ENABLED", "DISABLED", "DISABLED"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """What is there before and after a job over all items, and what is seen of each parameter."""

    items_before: Mapping[object, Mapping[str, Any]]
    items: Mapping[object, Mapping[str, Any]]
    code: str
    seen: Mapping[str, object]


def days_kept(expires_at: Any) -> int:
    return round((datetime.fromtimestamp(int(expires_at), UTC) - datetime.now(UTC)) / timedelta(days=1))


def look_at(stack: Stack, name: str) -> Look:
    """Give some items a sale that is due and one item a sale of more than there is, and run a job over all items."""
    before = stack.items()
    oversold, *others = (f"{name}-{number}" for number in range(ITEMS))
    stack.put(stocked(change("sale", value=-20), sku=oversold))
    stack.put(*(stocked(change("sale", value=-1), sku=sku) for sku in others))
    due, job, items = stack.run_job("due"), stack.run_job("all"), stack.items()
    assert due.run is not None, due.cause
    assert job.run is not None, job.cause

    small = not any(segment.call for segment in stack.jobs.segments(due.job_id, due.run.segments))
    client: DynamoDBClient = stack.client("dynamodb")
    key = {"job_id": {"S": job.job_id}, "record": {"S": "RUN"}}
    record = client.get_item(TableName=stack.outputs["JobsTableName"], Key=key)["Item"]
    schedules: EventBridgeSchedulerClient = stack.client("scheduler")
    schedule = schedules.get_schedule(GroupName=stack.outputs["ScheduleGroupName"], Name="inventory-updater-due-local")
    functions: LambdaClient = stack.client("lambda")
    function = functions.get_function_configuration(FunctionName=stack.outputs["FunctionName"])
    seen = {
        "Segments": (job.run.segments, job.run.tally.calls),
        "PageSize": small,
        "AllowNegativeStock": (items[oversold]["on_hand"], due.run.tally.changes_rejected),
        "ChangeRetentionDays": days_kept(stack.records()[others[0], "sale"]["expires_at"]),
        "JobRetentionDays": days_kept(record["expires_at"]["N"]),
        "LogLevel": function["LoggingConfig"]["ApplicationLogLevel"],
        "DueScheduleExpression": schedule["ScheduleExpression"],
        "DueScheduleState": schedule["State"],
    }
    return Look(before, items, function["CodeSha256"], seen)


@pytest.fixture(scope="module")
def looks(server: Engine) -> tuple[Look, Look]:
    """The stack as it is first deployed, and after a deployment in place that changes nothing but parameters."""
    one = {name: value for name, (value, _, _, _) in PARAMETERS.items()}
    other = {name: value for name, (_, _, value, _) in PARAMETERS.items()}
    first = look_at(deploy_stack(server, "inventory-updater-test", DueSilenceMinutes="1440", **one), "first")
    # Two deployments within a second collide on this engine.
    time.sleep(1)
    return first, look_at(deploy_stack(server, "inventory-updater-test", DueSilenceMinutes="1440", **other), "second")


def test_a_job_goes_by_the_parameters_of_the_last_deployment(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert first.seen == {name: seen for name, (_, seen, _, _) in PARAMETERS.items()}
    assert second.seen == {name: seen for name, (_, _, _, seen) in PARAMETERS.items()}


def test_a_deployment_in_place_keeps_every_item(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert len(first.items) == ITEMS
    assert second.items_before == first.items


def test_parameters_alone_are_no_new_code(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert first.code == second.code


# The schedule itself


def jobs(stack: Stack, scope: str) -> list[str]:
    return sorted(run.job_id for run in stack.jobs.runs(limit=1_000) if run.scope == scope)


@pytest.mark.slow
def test_a_schedule_fires_by_its_new_expression_and_no_more_once_it_is_off(server: Engine) -> None:
    seldom = {
        "EnvironmentSuffix": "schedule",
        "DueScheduleState": "ENABLED",
        "DueScheduleExpression": "rate(12 hours)",
        "DueSilenceMinutes": "1440",
    }
    often = seldom | {"DueScheduleExpression": "rate(1 minute)"}
    off = often | {"DueScheduleState": "DISABLED"}
    other = {"AllScheduleExpression": "rate(1 minute)", "AllScheduleState": "ENABLED"}

    stack = deploy_stack(server, "inventory-updater-schedule", **seldom)
    assert jobs(stack, "due") == []

    deploy_stack(server, stack.name, **often)
    wait_until(lambda: jobs(stack, "due"), "the schedule does not fire")

    deploy_stack(server, stack.name, **off, **other)
    so_far = jobs(stack, "due")
    # The other schedule has the same rate: when it has fired twice, this one has had its time.
    wait_until(lambda: len(jobs(stack, "all")) >= 2, "the other schedule does not fire")
    assert jobs(stack, "due") == so_far
