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
SETTLED: Final = {"outcome": "DONE"}
SKIPPED: Final = {"outcome": "SKIPPED"}
WAIT: Final = {"outcome": "WAIT"}
DONE: Final = {"done": True}
NOT_DONE: Final = {"done": False}
CLOSED: Final = {"status": "SUCCEEDED"}

SUCCEEDED: Final = ("SUCCEEDED", "")
JOB_FAILED: Final = ("FAILED", "JobFailed")

# What the calls answer, how the execution ends, and how often it opens, updates segments 0, 1 and 2, and closes.
PATHS: Final = {
    "all goes well": ({}, SUCCEEDED, (1, [1, 1, 1], 1)),
    "a segment is not done at once": ({"update": [NOT_DONE, NOT_DONE, DONE]}, SUCCEEDED, (1, [3, 3, 3], 1)),
    "a small job is done when it is opened": ({"open": [SETTLED]}, SUCCEEDED, (1, [0, 0, 0], 0)),
    "a job is skipped": ({"open": [SKIPPED]}, SUCCEEDED, (1, [0, 0, 0], 0)),
    "a job has to wait for the lease": ({"open": [WAIT, WAIT, OPENED]}, SUCCEEDED, (3, [1, 1, 1], 1)),
    "calls fail once": ({"open": ["raise", OPENED], "close": ["raise", CLOSED]}, SUCCEEDED, (2, [1, 1, 1], 2)),
    "a segment fails for good": ({"update": [{"by_segment": [DONE, "raise", DONE]}]}, SUCCEEDED, (1, [1, 4, 1], 1)),
    "a job has failures": ({"close": [{"status": "COMPLETED_WITH_FAILURES"}]}, SUCCEEDED, (1, [1, 1, 1], 1)),
    "a job has failed": ({"close": [{"status": "FAILED"}]}, JOB_FAILED, (1, [1, 1, 1], 1)),
    "a job is abandoned": ({"close": [{"status": "ABANDONED"}]}, JOB_FAILED, (1, [1, 1, 1], 1)),
}


@dataclass(frozen=True, slots=True)
class Ended:
    """How an execution ended, and the events of the calls that it made: `open#`, `update#0`, ..., `close#`."""

    status: str
    error: str
    calls: dict[str, list[Any]]

    def counts(self) -> tuple[int, list[int], int]:
        """How often the job was opened, each segment was updated, and the job was closed."""
        opened, *updated, closed = (
            len(self.calls.get(call, ())) for call in ("open#", "update#0", "update#1", "update#2", "close#")
        )
        return opened, updated, closed


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


@pytest.mark.parametrize(("script", "end", "counts"), PATHS.values(), ids=PATHS)
def test_an_execution_goes_where_the_answers_to_its_calls_lead(
    machine: Stack, script: dict[str, list[Any]], end: tuple[str, str], counts: tuple[int, list[int], int]
) -> None:
    ended = run(machine, **script)

    assert ((ended.status, ended.error), ended.counts()) == (end, counts)


def test_every_call_carries_the_name_of_the_execution_and_the_numbers_are_numbers(machine: Stack) -> None:
    ended = run(machine)
    [opened], [updated], [closed] = ended.calls["open#"], ended.calls["update#2"], ended.calls["close#"]

    assert {"action": "update", "job_id": opened["job_id"], "segment": 2} == updated
    assert ("due", "due") == (opened["input"]["scope"], closed["input"]["scope"])
    assert {"Error": "", "Cause": ""} == closed["error"]
    assert opened["started_at"] == closed["started_at"]


def test_a_job_that_cannot_be_opened_is_closed_with_the_error_and_fails(machine: Stack) -> None:
    ended = run(machine, open=["raise"], close=[{"status": "FAILED"}])
    [closed] = ended.calls["close#"]

    assert (JOB_FAILED, 4) == ((ended.status, ended.error), ended.counts()[0])
    assert "as the script says" in closed["error"]["Cause"]


def test_an_execution_fails_when_its_job_cannot_be_closed(machine: Stack) -> None:
    ended = run(machine, close=["raise"])

    assert ("FAILED", (1, [1, 1, 1], 4)) == (ended.status, ended.counts())
