"""A stack on CloudFormation: as it is, what a change set would change, and an operation on it from start to end."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ResourceChangeTypeDef, StackEventTypeDef

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
ONLY_TO_BE_DELETED: Final = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"})
WAS_COMPLETE: Final = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
NOT_MADE_YET: Final = "REVIEW_IN_PROGRESS"
MADE_BY_THE_CLI: Final = "awscli-cloudformation-package-deploy-"

FIRST_PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
ROUNDS_TO_BEGIN: Final = 20
"""How often the stack may look as it did before, until it counts as having ended so."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as CloudFormation describes it."""

    arn: str
    status: str
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]
    has_termination_protection: bool

    @property
    def region(self) -> str:
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.arn.split(":")[4]


def find_stack(client: "CloudFormationClient", name: str) -> Stack | None:
    """The stack of a name or an ARN; None where there is none, or nothing but a change set that would make it."""
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        answer = error.response["Error"]
        if answer["Code"] == "ValidationError" and "does not exist" in answer["Message"]:
            return None
        raise
    if found["StackStatus"] == NOT_MADE_YET:
        return None
    return Stack(
        arn=found["StackId"],
        status=found["StackStatus"],
        parameters={given["ParameterKey"]: given.get("ParameterValue", "") for given in found.get("Parameters", [])},
        outputs={output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])},
        has_termination_protection=found.get("EnableTerminationProtection", False),
    )


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """What a change set does to one resource.

    Attributes:
        replacement: `True`, `False` or `Conditional`; empty for a resource that comes or goes.
        properties: what of it changes, without what only refers to something that changes.
    """

    action: str
    resource: str
    type: str
    replacement: str
    properties: tuple[str, ...]


def resource_changes(client: "CloudFormationClient", name: str, change_set_arn: str) -> list[ResourceChange]:
    """All changes of a change set of a stack, which come in pages."""
    pages = client.get_paginator("describe_change_set").paginate(StackName=name, ChangeSetName=change_set_arn)
    return [_resource_change(change["ResourceChange"]) for page in pages for change in page["Changes"]]


def _resource_change(change: "ResourceChangeTypeDef") -> ResourceChange:
    # An attribute that another resource's change makes CloudFormation evaluate again may well stay as it is:
    # https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChangeDetail.html
    targets = [detail["Target"] for detail in change.get("Details", []) if detail.get("Evaluation") == "Static"]
    names = dict.fromkeys(target.get("Name") or target.get("Attribute", "") for target in targets)
    return ResourceChange(
        action=change["Action"],
        resource=change["LogicalResourceId"],
        type=change["ResourceType"],
        replacement=change.get("Replacement", ""),
        properties=tuple(names),
    )


def discard(client: "CloudFormationClient", name: str, change_set_arn: str) -> None:
    """Delete a change set that nobody wants, and with it the stack that it would have made."""
    client.delete_change_set(StackName=name, ChangeSetName=change_set_arn)
    discard_unmade(client, name)


def discard_unmade(client: "CloudFormationClient", name: str) -> None:
    """Delete a stack that is nothing but the place of its first change set."""
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError:
        return  # there is none
    if found["StackStatus"] == NOT_MADE_YET:
        client.delete_stack(StackName=name)


def discard_empty(client: "CloudFormationClient", name: str) -> None:
    """Delete the change sets of a stack that found nothing to change: the AWS CLI leaves them, and AWS counts them."""
    for page in client.get_paginator("list_change_sets").paginate(StackName=name):
        for each in page["Summaries"]:
            if each["Status"] == "FAILED" and each["ChangeSetName"].startswith(MADE_BY_THE_CLI):
                client.delete_change_set(StackName=name, ChangeSetName=each["ChangeSetId"])


def was_ever_complete(client: "CloudFormationClient", stack: Stack) -> bool:
    """Whether the stack has ever been whole, so that its tables may have been in use."""
    return any(_is_of_stack(event) and event["ResourceStatus"] in WAS_COMPLETE for event in _events(client, stack.arn))


class Operation:
    """One operation on a stack. All its events have its token, and the token goes into the request that begins it.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackEvent.html
    """

    def __init__(self, client: "CloudFormationClient", name: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
        # By its id: a deleted stack is no longer found by its name.
        self._arn, self._status_before = found["StackId"], found["StackStatus"]
        self._sleep = sleep
        self.token = f"deploy-{uuid.uuid4()}"

    def wait(self, tell: Callable[[str, int], None], meanwhile: Callable[[], object] = lambda: None) -> str:
        """Wait until the operation has ended, and return the stack's status.

        It may end under another token, as where somebody cancels it or deletes the stack: then the status says so.

        Args:
            tell: is told what happened last, again and again.
            meanwhile: is called as often.
        """
        pause = FIRST_PAUSE_SECONDS
        for rounds in count():
            newest = self._client.describe_stack_events(StackName=self._arn)["StackEvents"]
            mine = [event for event in newest if event.get("ClientRequestToken") == self.token]
            status = next((event["ResourceStatus"] for event in mine if _is_of_stack(event)), "")
            if status and not status.endswith("_IN_PROGRESS"):
                return status
            now = self._client.describe_stacks(StackName=self._arn)["Stacks"][0]["StackStatus"]
            may_not_have_begun = now == self._status_before and rounds < ROUNDS_TO_BEGIN
            if not now.endswith("_IN_PROGRESS") and not may_not_have_begun:
                return now
            if mine:
                tell(f"{mine[0]['LogicalResourceId']} {mine[0]['ResourceStatus']}", 0)
            meanwhile()
            self._sleep(pause)
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.2)
        raise AssertionError("it is waited for without end")

    def failures(self) -> list[str]:
        """What failed, the first failure first, as lines to print."""
        failed = [
            f"{event['LogicalResourceId']}: {event['ResourceStatus']}: "
            f"{event.get('ResourceStatusReason', 'no reason given')}"
            for event in _events(self._client, self._arn)
            if event.get("ClientRequestToken") == self.token and event["ResourceStatus"].endswith("_FAILED")
        ]
        return failed[::-1]


def _events(client: "CloudFormationClient", arn: str) -> Iterator["StackEventTypeDef"]:
    """All events of a stack, the newest first."""
    for page in client.get_paginator("describe_stack_events").paginate(StackName=arn):
        yield from page["StackEvents"]


def _is_of_stack(event: "StackEventTypeDef") -> bool:
    return event.get("PhysicalResourceId") == event["StackId"]
