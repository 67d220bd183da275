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
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, read_key
from inventory_updater.stock.times import format_time
from inventory_updater.tables.records import Run
from tests.builders import change, item_attributes
from tests.stacks import Stack, deploy_stack
from tests.waiting import wait_until

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient
    from types_boto3_scheduler.client import EventBridgeSchedulerClient

STACK: Final = "inventory-updater-test"
ITEMS: Final = 12

FIRST: Final = {
    "Segments": "1",
    "PageSize": "250",
    "AllowNegativeStock": "false",
    "ChangeRetentionDays": "7",
    "JobRetentionDays": "30",
    "LogLevel": "INFO",
    "DueScheduleExpression": "rate(6 hours)",
    "DueScheduleState": "ENABLED",
    "DueSilenceMinutes": "1440",
}
SECOND: Final = FIRST | {
    "Segments": "3",
    "PageSize": "2",
    "AllowNegativeStock": "true",
    "ChangeRetentionDays": "1",
    "JobRetentionDays": "90",
    "LogLevel": "WARN",
    "DueScheduleExpression": "cron(0 4 ? * MON *)",
    "DueScheduleState": "DISABLED",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What a deployment does: a job over all items, which finds the same kind of work each time."""

    run: Run
    pages: int
    items_before: Mapping[ItemKey, Attributes]
    items: Mapping[ItemKey, Attributes]
    record_is_kept: timedelta
    schedule: Mapping[str, Any]
    function: Mapping[str, Any]


def items_of(stack: Stack) -> dict[ItemKey, Attributes]:
    client: DynamoDBClient = stack.client("dynamodb")
    stored = client.scan(TableName=stack.outputs["InventoryTableName"], ConsistentRead=True)["Items"]
    return {read_key(item): item for item in map(from_attribute_values, stored)}


def look_at(stack: Stack, round_name: str) -> Look:
    """Give some items a sale that is due and one item a sale of more than there is, and run a job over all items."""
    before = items_of(stack)
    three_days_ago = format_time(datetime.now(UTC) - timedelta(days=3))
    stack.put(
        *(
            item_attributes(
                10,
                sku=f"{round_name}-{number}",
                pending=[change("sale", "adjustment", -20 if number == 0 else -1)],
                settled={"of three days ago": (three_days_ago, three_days_ago)},
            )
            for number in range(ITEMS)
        )
    )
    job = stack.run_job("all")
    assert job.run is not None, job.cause
    client: DynamoDBClient = stack.client("dynamodb")
    record = client.get_item(
        TableName=stack.outputs["JobsTableName"], Key={"job_id": {"S": job.job_id}, "record": {"S": "RUN"}}
    )["Item"]
    kept_until = datetime.fromtimestamp(int(record["expires_at"]["N"]), UTC)
    schedules: EventBridgeSchedulerClient = stack.client("scheduler")
    functions: LambdaClient = stack.client("lambda")
    return Look(
        run=job.run,
        pages=sum(segment.saves for segment in stack.jobs.segments(job.job_id, job.run.segments)),
        items_before=before,
        items=items_of(stack),
        record_is_kept=kept_until - datetime.now(UTC),
        schedule=schedules.get_schedule(
            GroupName=stack.outputs["ScheduleGroupName"], Name="inventory-updater-due-local"
        ),
        function=functions.get_function_configuration(FunctionName=stack.outputs["FunctionName"]),
    )


@pytest.fixture(scope="module")
def looks(server: Engine) -> tuple[Look, Look]:
    """The stack as it is first deployed, and after a deployment in place that changes nothing but parameters."""
    first = look_at(deploy_stack(server, STACK, **FIRST), "first")
    # Two deployments within a second collide on this engine.
    time.sleep(1)
    second = look_at(deploy_stack(server, STACK, **SECOND), "second")
    return first, second


def test_a_deployment_in_place_keeps_every_item(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert len(first.items) == ITEMS
    assert second.items_before == first.items


def test_segments(looks: tuple[Look, Look]) -> None:
    assert [look.run.segments for look in looks] == [1, 3]
    assert [look.run.tally.calls for look in looks] == [1, 3]


def test_page_size(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert first.pages == 1
    # 24 items by twos, and at most one page more for each segment.
    assert 12 <= second.pages <= 15
    assert [look.run.tally.items_scanned for look in looks] == [ITEMS, 2 * ITEMS]


def test_allow_negative_stock(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert [look.run.tally.changes_rejected for look in looks] == [1, 0]
    assert first.items[ItemKey("first-0", "DC1")]["on_hand"] == 10
    assert second.items[ItemKey("second-0", "DC1")]["on_hand"] == -10


def test_change_retention_days(looks: tuple[Look, Look]) -> None:
    remembered = [
        look.items[ItemKey(f"{name}-1", "DC1")]["settled_changes"]
        for look, name in zip(looks, ("first", "second"), strict=True)
    ]

    assert [sorted(settled) for settled in remembered] == [["of three days ago", "sale"], ["sale"]]  # type: ignore[call-overload]  # maps


def test_job_retention_days(looks: tuple[Look, Look]) -> None:
    # A job takes no hour.
    assert [round(look.record_is_kept / timedelta(hours=1)) for look in looks] == [30 * 24, 90 * 24]


def test_schedule_expression_and_state(looks: tuple[Look, Look]) -> None:
    assert [(look.schedule["ScheduleExpression"], look.schedule["State"]) for look in looks] == [
        ("rate(6 hours)", "ENABLED"),
        ("cron(0 4 ? * MON *)", "DISABLED"),
    ]


def test_log_level(looks: tuple[Look, Look]) -> None:
    # The engine keeps the level and goes by Python's own, WARNING; on AWS the runtime goes by it.
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html
    assert [look.function["LoggingConfig"]["ApplicationLogLevel"] for look in looks] == ["INFO", "WARN"]


def test_parameters_alone_are_no_new_code(looks: tuple[Look, Look]) -> None:
    first, second = looks

    assert first.function["CodeSha256"] == second.function["CodeSha256"]


# The schedule itself


def jobs(stack: Stack, scope: str) -> list[str]:
    return sorted(run.job_id for run in stack.jobs.runs(limit=1_000) if run.scope == scope)


@pytest.mark.slow
def test_a_schedule_fires_by_its_new_expression_and_no_more_once_it_is_off(server: Engine) -> None:
    due = {"EnvironmentSuffix": "schedule", "DueScheduleState": "ENABLED", "DueSilenceMinutes": "1440"}
    seldom = deploy_stack(server, "inventory-updater-schedule", DueScheduleExpression="rate(12 hours)", **due)
    assert jobs(seldom, "due") == []

    often = deploy_stack(server, "inventory-updater-schedule", DueScheduleExpression="rate(1 minute)", **due)
    wait_until(lambda: jobs(often, "due"), "the schedule does not fire")

    off = deploy_stack(
        server,
        "inventory-updater-schedule",
        DueScheduleExpression="rate(1 minute)",
        AllScheduleExpression="rate(1 minute)",
        AllScheduleState="ENABLED",
        **due | {"DueScheduleState": "DISABLED"},
    )
    so_far = jobs(off, "due")
    # The other schedule has the same rate: when it has fired twice, this one has had its time.
    wait_until(lambda: len(jobs(off, "all")) >= 2, "the other schedule does not fire")
    assert jobs(off, "due") == so_far
