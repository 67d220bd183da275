"""EventBridge Scheduler as far as pausing needs it: an update replaces the whole schedule, as AWS documents it."""

from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

GROUP: Final = "inventory-updater-shop"

# What UpdateSchedule puts where a request says nothing.
# https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
DEFAULTS: Final = {"State": "ENABLED", "ScheduleExpressionTimezone": "UTC", "ActionAfterCompletion": "NONE"}


class FakeScheduler:
    """The two schedules of the environment `shop`, and what was asked for."""

    def __init__(self, **states: str) -> None:
        self.schedules = {f"inventory-updater-{scope}-shop": schedule(scope, state) for scope, state in states.items()}
        self.updated: list[str] = []

    def get_schedule(self, *, GroupName: str, Name: str) -> Any:  # noqa: N803  # AWS's names
        assert GroupName == GROUP
        if Name not in self.schedules:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": "no"}}, "GetSchedule")
        return self.schedules[Name] | {"ResponseMetadata": {"HTTPStatusCode": 200}}

    def update_schedule(self, **request: Any) -> dict[str, Any]:
        assert request["GroupName"] == GROUP
        name = request["Name"]
        self.updated.append(name)
        described = {key: self.schedules[name][key] for key in ("Arn", "CreationDate", "LastModificationDate")}
        self.schedules[name] = {**DEFAULTS, **request, **described}
        return {"ScheduleArn": described["Arn"]}


def schedule(scope: str = "due", state: str = "ENABLED", **more: object) -> Any:
    """A schedule of the template as GetSchedule describes it, with everything set that can be set."""
    created = datetime(2026, 1, 5, tzinfo=UTC)
    return {
        "ActionAfterCompletion": "NONE",
        "Arn": f"arn:aws:scheduler:eu-west-1:123456789012:schedule/{GROUP}/inventory-updater-{scope}-shop",
        "CreationDate": created,
        "Description": "Applies the changes that are due.",
        "EndDate": datetime(2099, 1, 1, tzinfo=UTC),
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "GroupName": GROUP,
        "KmsKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/1",
        "LastModificationDate": created,
        "Name": f"inventory-updater-{scope}-shop",
        "ScheduleExpression": "cron(0 3 * * ? *)",
        "ScheduleExpressionTimezone": "Europe/Berlin",
        "StartDate": created,
        "State": state,
        "Target": {
            "Arn": "arn:aws:states:eu-west-1:123456789012:stateMachine:inventory-updater-shop",
            "RoleArn": "arn:aws:iam::123456789012:role/inventory-updater-scheduler-shop-eu-west-1",
            "Input": '{"scope":"due","trigger":"schedule"}',
            "RetryPolicy": {"MaximumEventAgeInSeconds": 900, "MaximumRetryAttempts": 10},
            "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:inventory-updater-undelivered-shop"},
        },
        **more,
    }
