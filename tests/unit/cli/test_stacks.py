"""A stack on CloudFormation: what is found of it, and an operation on it from start to end."""

from typing import TYPE_CHECKING, cast

import pytest

from cli.stacks import Operation, find_stack, was_ever_complete
from tests.fakes.cloudformation import ARN, STACK, FakeCloudFormation, stack_event

if TYPE_CHECKING:
    from types_boto3_cloudformation.client import CloudFormationClient


def client(**state: object) -> "CloudFormationClient":
    return cast("CloudFormationClient", FakeCloudFormation(**state))  # type: ignore[arg-type]  # its own fields


def test_a_stack_is_found_with_its_place_and_its_parameters() -> None:
    stack = find_stack(client(parameters={"Segments": "4"}, is_protected=True), STACK)

    assert stack is not None
    assert ("123456789012", "eu-west-1") == (stack.account, stack.region)
    assert ("CREATE_COMPLETE", {"Segments": "4"}, True) == (
        stack.status,
        stack.parameters,
        stack.has_termination_protection,
    )


@pytest.mark.parametrize("status", ["", "REVIEW_IN_PROGRESS"])
def test_a_stack_that_nobody_has_made_yet_is_none(status: str) -> None:
    assert find_stack(client(status=status), STACK) is None


def test_a_stack_was_complete_if_one_of_all_its_events_says_so() -> None:
    later = [stack_event(f"Alarm{number}", "UPDATE_COMPLETE") for number in range(250)]
    for first, expected in (("CREATE_COMPLETE", True), ("ROLLBACK_COMPLETE", False)):
        found = client(events=[stack_event(STACK, first), *later])
        stack = find_stack(found, STACK)
        assert stack is not None
        assert was_ever_complete(found, stack) is expected


def test_an_operation_has_ended_when_the_stack_itself_says_so_and_not_when_an_earlier_one_did() -> None:
    fake = FakeCloudFormation(events=[stack_event(STACK, "UPDATE_COMPLETE", token="before")])
    to_come = ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"]
    told: list[str] = []
    between: list[int] = []
    operation = Operation(cast("CloudFormationClient", fake), STACK, sleep=lambda _seconds: None)

    def go_on() -> None:
        between.append(len(to_come))
        fake.events.append(stack_event(STACK, to_come.pop(0), token=operation.token))

    assert operation.wait(lambda text, _done: told.append(text), go_on) == "UPDATE_COMPLETE"
    assert told == [f"{STACK} UPDATE_IN_PROGRESS", f"{STACK} UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"]
    assert between == [3, 2, 1]


def test_an_operation_that_ends_under_another_token_has_ended_all_the_same() -> None:
    fake = FakeCloudFormation(status="UPDATE_COMPLETE")
    told: list[str] = []
    operation = Operation(cast("CloudFormationClient", fake), STACK, sleep=lambda _seconds: None)

    def somebody_deletes_it() -> None:
        told.append(fake.status)
        fake.status = "DELETE_IN_PROGRESS" if len(told) < 3 else "DELETE_COMPLETE"

    assert operation.wait(lambda _text, _done: None, somebody_deletes_it) == "DELETE_COMPLETE"
    fake.status = "UPDATE_COMPLETE"
    unmoved = Operation(cast("CloudFormationClient", fake), STACK, sleep=lambda _seconds: None)
    assert unmoved.wait(lambda _text, _done: None) == "UPDATE_COMPLETE"


def test_of_hundreds_of_events_the_first_failure_comes_first_and_earlier_operations_are_left_out() -> None:
    fake = FakeCloudFormation()
    operation = Operation(cast("CloudFormationClient", fake), STACK)
    cancelled = "Resource creation cancelled"
    fake.events += [
        stack_event("Topic", "UPDATE_FAILED", "long ago", "before"),
        stack_event(STACK, "CREATE_IN_PROGRESS", token=operation.token),
        *(stack_event(f"Alarm{number}", "CREATE_COMPLETE", token=operation.token) for number in range(120)),
        stack_event("Function", "CREATE_FAILED", "The bucket does not exist", operation.token),
        stack_event("Dashboard", "CREATE_FAILED", cancelled, operation.token),
        *(stack_event(f"Alarm{number}", "DELETE_COMPLETE", token=operation.token) for number in range(120)),
        stack_event("InventoryTable", "DELETE_FAILED", token=operation.token),
        stack_event(STACK, "ROLLBACK_FAILED", "Not all was deleted", operation.token),
    ]

    assert operation.failures() == [
        "Function: CREATE_FAILED: The bucket does not exist",
        f"Dashboard: CREATE_FAILED: {cancelled}",
        "InventoryTable: DELETE_FAILED: no reason given",
        f"{STACK}: ROLLBACK_FAILED: Not all was deleted",
    ]
    assert operation.wait(lambda _text, _done: None) == "ROLLBACK_FAILED"
    assert ARN not in operation.token
