"""The paths through the state machine, with a stand-in for the function that answers as the execution's input says.

The input of an execution is `{"script": {"open": [...], "update": [...], "close": [...]}}`: one answer for each call,
the last one for all further calls; `"raise"` raises. A call is known by the item that it leaves in the jobs table,
which is also where the test reads what was called and with which event.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from cli.engine import Engine
from tests.engines import private_ministack
from tests.stacks import Stack, deploy_stack

if TYPE_CHECKING:
    from types_boto3_dynamodb.client import DynamoDBClient
    from types_boto3_lambda.client import LambdaClient

STAND_IN: Final = """
import json, os
import boto3

calls = boto3.client("dynamodb")
table = os.environ["JOBS_TABLE"]

def handle(event, context):
    who = event["action"] + "#" + str(event.get("segment", ""))
    script = {"S": event["job_id"]}
    if event["action"] == "open":
        calls.put_item(TableName=table, Item={"job_id": script, "record": {"S": "SCRIPT"},
            "text": {"S": json.dumps(event["input"]["script"])}})
    text = calls.get_item(TableName=table, Key={"job_id": script, "record": {"S": "SCRIPT"}}, ConsistentRead=True)
    answers = json.loads(text["Item"]["text"]["S"])[event["action"]]
    count = calls.update_item(TableName=table, Key={"job_id": script, "record": {"S": "COUNT#" + who}},
        UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW")
    number = int(count["Attributes"]["n"]["N"])
    calls.put_item(TableName=table, Item={"job_id": script, "record": {"S": "CALL#%s#%04d" % (who, number)},
        "event": {"S": json.dumps(event)}})
    answer = answers[min(number, len(answers)) - 1]
    if isinstance(answer, dict) and "by_segment" in answer:
        answer = answer["by_segment"][event["segment"]]
    if answer == "raise":
        raise RuntimeError("as the script says")
    return answer
"""

OPENED: Final = {"outcome": "OPENED", "segments": [0, 1, 2]}
DONE: Final = {"done": True}
NOT_DONE: Final = {"done": False}
CLOSED: Final = {"status": "SUCCEEDED"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended, and the events of the calls that it made: `open#`, `update#0`, ..., `close#`."""

    status: str
    error: str
    calls: dict[str, list[Any]]

    def count(self, call: str) -> int:
        """How often the call was made."""
        return len(self.calls.get(call, []))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that does not really wait: not for the lease, and not between two attempts."""
    with private_ministack(tmp_path_factory.mktemp("server"), {"SFN_WAIT_SCALE": "0"}) as engine:
        yield engine


@pytest.fixture(scope="module")
def machine(server: Engine) -> Stack:
    """The deployed template with the stand-in in the place of the function's code."""
    stack = deploy_stack(server, "inventory-updater-machine")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("inventory_updater/__init__.py", "")
        package.writestr("inventory_updater/handler.py", STAND_IN)
    client: LambdaClient = stack.client("lambda")
    client.update_function_code(FunctionName=stack.outputs["FunctionName"], ZipFile=archive.getvalue())
    return stack


def run(stack: Stack, **script: list[Any]) -> Ended:
    """Run one execution to its end; `script` is laid over one in which everything goes well at once."""
    job = stack.run_job(script={"open": [OPENED], "update": [DONE], "close": [CLOSED]} | script)
    return Ended(status=job.execution_status, error=job.error, calls=calls_of(stack, job.job_id))


def calls_of(stack: Stack, job_id: str) -> dict[str, list[Any]]:
    client: DynamoDBClient = stack.client("dynamodb")
    answer = client.query(
        TableName=stack.outputs["JobsTableName"],
        KeyConditionExpression="job_id = :job AND begins_with(#record, :call)",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":job": {"S": job_id}, ":call": {"S": "CALL#"}},
    )
    calls: dict[str, list[Any]] = {}
    for item in answer["Items"]:
        _, action, segment, _ = item["record"]["S"].split("#")
        calls.setdefault(f"{action}#{segment}", []).append(json.loads(item["event"]["S"]))
    return calls


def test_a_job_opens_updates_each_segment_and_closes(machine: Stack) -> None:
    ended = run(machine)

    assert ("SUCCEEDED", {"open#": 1, "update#0": 1, "update#1": 1, "update#2": 1, "close#": 1}) == (
        ended.status,
        {call: ended.count(call) for call in ended.calls},
    )


def test_every_call_carries_the_name_of_the_execution_and_the_numbers_are_numbers(machine: Stack) -> None:
    ended = run(machine)
    [opened], [updated], [closed] = ended.calls["open#"], ended.calls["update#2"], ended.calls["close#"]

    assert {"action": "update", "job_id": opened["job_id"], "segment": 2} == updated
    assert ("due", "due") == (opened["input"]["scope"], closed["input"]["scope"])
    assert {"Error": "", "Cause": ""} == closed["error"]
    assert opened["started_at"] == closed["started_at"]


def test_a_segment_is_updated_until_it_is_done(machine: Stack) -> None:
    ended = run(machine, open=[{"outcome": "OPENED", "segments": [0]}], update=[NOT_DONE, NOT_DONE, DONE])

    assert ("SUCCEEDED", 3) == (ended.status, ended.count("update#0"))


def test_a_skipped_job_ends_well_without_closing(machine: Stack) -> None:
    ended = run(machine, open=[{"outcome": "SKIPPED"}])

    assert ("SUCCEEDED", ["open#"]) == (ended.status, list(ended.calls))


def test_a_job_that_has_to_wait_for_the_lease_asks_again(machine: Stack) -> None:
    ended = run(machine, open=[{"outcome": "WAIT"}, {"outcome": "WAIT"}, OPENED])

    assert ("SUCCEEDED", 3, 1) == (ended.status, ended.count("open#"), ended.count("close#"))


def test_a_call_that_fails_once_is_made_again(machine: Stack) -> None:
    ended = run(machine, open=["raise", OPENED], close=["raise", CLOSED])

    assert ("SUCCEEDED", 2, 2) == (ended.status, ended.count("open#"), ended.count("close#"))


def test_a_segment_that_fails_for_good_does_not_stop_the_others(machine: Stack) -> None:
    ended = run(machine, update=[{"by_segment": [DONE, "raise", DONE]}], close=[{"status": "COMPLETED_WITH_FAILURES"}])

    assert ("SUCCEEDED", 1, 4, 1, 1) == (
        ended.status,
        ended.count("update#0"),
        ended.count("update#1"),
        ended.count("update#2"),
        ended.count("close#"),
    )


def test_a_job_that_cannot_be_opened_is_closed_with_the_error_and_fails(machine: Stack) -> None:
    ended = run(machine, open=["raise"], close=[{"status": "FAILED"}])
    [closed] = ended.calls["close#"]

    assert ("FAILED", "JobFailed", 4) == (ended.status, ended.error, ended.count("open#"))
    assert "as the script says" in closed["error"]["Cause"]


@pytest.mark.parametrize("status", ["FAILED", "ABANDONED"])
def test_an_execution_fails_when_its_job_did(machine: Stack, status: str) -> None:
    ended = run(machine, close=[{"status": status}])

    assert ("FAILED", "JobFailed") == (ended.status, ended.error)


def test_an_execution_fails_when_its_job_cannot_be_closed(machine: Stack) -> None:
    ended = run(machine, close=["raise"])

    assert ("FAILED", 4) == (ended.status, ended.count("close#"))
