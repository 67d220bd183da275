"""CloudFormation as far as deploying and deleting need it: one stack, its resources, and its events in pages of 100."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

STACK: Final = "inventory-updater-staging"
ARN: Final = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/{STACK}/0c3d2f4e"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackEvents.html
PAGE: Final = 100


def stack_event(resource: str, status: str, reason: str = "", token: str = "") -> dict[str, str]:
    """An event; one of the stack itself where the resource is the stack's name."""
    physical = ARN if resource == STACK else f"{resource}-1"
    event = {"StackId": ARN, "LogicalResourceId": resource, "PhysicalResourceId": physical, "ResourceStatus": status}
    return event | {
        name: value for name, value in (("ResourceStatusReason", reason), ("ClientRequestToken", token)) if value
    }


@dataclass
class FakeCloudFormation:
    """Knows one stack, or none. `events` are the oldest first; the answer has them the newest first, as AWS does."""

    status: str = "CREATE_COMPLETE"
    parameters: dict[str, str] = field(default_factory=dict)
    is_protected: bool = False
    events: list[dict[str, str]] = field(default_factory=list)
    resources: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The type and the physical id of each."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    asked_to_delete: list[str] = field(default_factory=list)

    def describe_stacks(self, *, StackName: str) -> Any:  # noqa: N803  # AWS's name
        if StackName not in (STACK, ARN) or not self.status:
            message = f"Stack with id {StackName} does not exist"
            raise ClientError({"Error": {"Code": "ValidationError", "Message": message}}, "DescribeStacks")
        given = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        stack = {"StackId": ARN, "StackStatus": self.status, "Parameters": given}
        return {"Stacks": [stack | {"EnableTerminationProtection": self.is_protected}]}

    def describe_stack_events(self, *, StackName: str) -> Any:  # noqa: N803
        assert StackName == ARN
        return {"StackEvents": self.events[::-1][:PAGE]}

    def delete_stack(self, *, StackName: str, ClientRequestToken: str) -> None:  # noqa: N803
        self.asked_to_delete.append(StackName)
        self.events.append(stack_event(STACK, "DELETE_COMPLETE", token=ClientRequestToken))

    def get_paginator(self, operation: str) -> "FakeCloudFormation":
        self._operation = operation
        return self

    def paginate(self, **_request: str) -> Iterator[Any]:
        if self._operation == "describe_stack_events":
            newest = self.events[::-1]
            yield from ({"StackEvents": newest[start : start + PAGE]} for start in range(0, len(newest), PAGE))
        elif self._operation == "list_stack_resources":
            names = ("LogicalResourceId", "ResourceType", "PhysicalResourceId", "ResourceStatus")
            rows = ((name, *of_it, "CREATE_COMPLETE") for name, of_it in self.resources.items())
            yield {"StackResourceSummaries": [dict(zip(names, row, strict=True)) for row in rows]}
        else:
            assert self._operation == "describe_change_set"
            yield from ({"Changes": [{"ResourceChange": change}]} for change in self.changes)
