"""Both clients against the same scripts: with JSON in it, botocore's client does what it does by itself."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import repeat
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
import pytest
from boto3.dynamodb.types import Binary
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.batches import Outcome as Landing
from inventory_updater.dynamodb.batches import send
from inventory_updater.dynamodb.botocore_private import ITEM_OPERATIONS, DamagedAnswerError
from inventory_updater.dynamodb.client import botocore_client, dynamodb_client
from inventory_updater.dynamodb.statements import guarded_update
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from tests.fakes.endpoint import CLOSED, RESET, SILENT, Act, Request, answer, endpoint, http, refusal
from tests.strategies import dynamodb_values

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Make = Callable[..., "DynamoDBClient"]
Call = Callable[["DynamoDBClient"], Mapping[str, Any]]

CLIENTS: Final[dict[str, Make]] = {"botocore": botocore_client, "JSON": dynamodb_client}
BOTH: Final = pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in CLIENTS.items()])
ATTEMPTS: Final = 4
SESSION: Final = boto3.Session(
    aws_access_key_id="AKID", aws_secret_access_key="secret", aws_session_token="token", region_name="eu-west-1"
)
DONE: Final = {"Responses": [{"TableName": "inventory"}]}
NOT_COMPARED: Final = ("authorization", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request", "host")
"""Headers that change from request to request, or with the endpoint."""


@dataclass(frozen=True)
class Outcome:
    """What a client sent, and what its caller got: an answer, or an error's response and the names of its classes."""

    sent: list[Request]
    pauses: int
    answer: Mapping[str, Any]
    error: tuple[str, ...]

    @property
    def tries(self) -> tuple[int, int, object]:
        """How often it asked, how often it paused, and which retry its caller was told of."""
        return len(self.sent), self.pauses, self.answer.get("ResponseMetadata", {}).get("RetryAttempts")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which nobody waits for; and no proxy is in the way, wherever the tests run."""
    made: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.append))
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return made


Ask = Callable[[Iterable[Act], Call], Outcome]


@pytest.fixture
def same(pauses: list[float]) -> Ask:
    """What comes of one call over either client, each with an endpoint of its own that plays the same script."""

    def play(make: Make, script: Iterable[Act], call: Call) -> Outcome:
        pauses.clear()
        result: Mapping[str, Any] = {}
        classes: tuple[str, ...] = ()
        with endpoint(script) as server:
            client = make(SESSION, 4, server.url)
            try:
                result = call(client)
            except (ClientError, BotoCoreError) as error:
                result = getattr(error, "response", None) or {}
                classes = tuple(each.__name__ for each in type(error).__mro__)
            client.close()
        sent = [
            replace(each, headers={name: text for name, text in each.headers.items() if name not in NOT_COMPARED})
            for each in server.requests
        ]
        return Outcome(sent, len(pauses), result, classes)

    def ask(script: Iterable[Act], call: Call) -> Outcome:
        by_botocore, by_json = (play(make, script, call) for make in CLIENTS.values())
        assert by_json == by_botocore
        return by_json

    return ask


def scan(client: "DynamoDBClient") -> Mapping[str, Any]:
    return client.scan(TableName="inventory")


def write(client: "DynamoDBClient") -> Mapping[str, Any]:
    return client.batch_execute_statement(Statements=[{"Statement": "UPDATE", "Parameters": [{"N": "1"}]}])


# Requests and answers

Colour = StrEnum("Colour", ["RED"])
VALUES: Final[Any] = to_attribute_values(
    dict[str, object](text='mug \U0001f6d2 " \\ \n \x00 \u2028 é', empty="", number=10, null=None, true=True, list=[])
    | {"binary": Binary(b"\x00\xff"), "bytes": bytearray(b"\x00\xff"), "binaries": {Binary(b"\x01")}}
    | {"map": {"list": [1, "2", {"three": Binary(b"\x03")}], Colour.RED: Colour.RED}, "texts": {"one"}, "numbers": {1}}
)
ITEM: Final = {"sku": {"S": "mug é"}, "map": {"M": {"list": {"L": [{"N": "1"}, {"NULL": True}, {"BOOL": False}]}}}}
KEY: Final = {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}}
READ: Final = {"TableName": "t", "CapacityUnits": 128.5}
COUNTED: Final = {"ReturnConsumedCapacity": "TOTAL"}

OPERATIONS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "Scan": (
        {"TableName": "t", "Segment": 1, "TotalSegments": 4, "ExclusiveStartKey": VALUES} | COUNTED,
        {"Items": [ITEM], "Count": 1, "ScannedCount": 2, "LastEvaluatedKey": KEY, "ConsumedCapacity": READ},
    ),
    "Query": (
        {"TableName": "t", "IndexName": "due", "KeyConditionExpression": "a = :b AND c <= :d", "Limit": 7}
        | {"ExpressionAttributeValues": VALUES, "ExclusiveStartKey": KEY}
        | COUNTED,
        {"Items": [ITEM], "Count": 1, "LastEvaluatedKey": KEY, "ConsumedCapacity": READ},
    ),
    "GetItem": (
        {"TableName": "t", "Key": VALUES, "ConsistentRead": True}
        | {"ProjectionExpression": "#s, map", "ExpressionAttributeNames": {"#s": "sku"}},
        {"Item": ITEM},
    ),
    "BatchGetItem": (
        {"RequestItems": {"t": {"Keys": [VALUES, KEY], "ConsistentRead": True}}} | COUNTED,
        {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {"t": {"Keys": [KEY], "ConsistentRead": True}}}
        | {"ConsumedCapacity": [READ]},
    ),
    "PutItem": ({"TableName": "t", "Item": VALUES, "ReturnValues": "ALL_OLD"}, {"Attributes": ITEM}),
    "UpdateItem": (
        {"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = :b", "ConditionExpression": "c = :d"}
        | {"ExpressionAttributeValues": VALUES, "ReturnValues": "ALL_NEW"},
        {"Attributes": ITEM},
    ),
    "BatchWriteItem": (
        {"RequestItems": {"t": [{"PutRequest": {"Item": VALUES}}, {"DeleteRequest": {"Key": KEY}}]}},
        {"UnprocessedItems": {"t": [{"PutRequest": {"Item": ITEM}}]}},
    ),
    "BatchExecuteStatement": (
        {
            "Statements": [{"Statement": 'UPDATE "é" SET "a"=?', "Parameters": list(VALUES.values())}],
        }
        | COUNTED,
        {"ConsumedCapacity": [READ]}
        | {"Responses": [{"TableName": "t"}, {"Error": {"Code": "DuplicateItem", "Message": "no", "Item": ITEM}}]},
    ),
    # these are left to botocore
    "DeleteItem": ({"TableName": "t", "Key": KEY}, {"Attributes": ITEM}),
    "DescribeTable": ({"TableName": "t"}, {"Table": {"TableName": "t", "ItemCount": 7}}),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_asks_and_answers_as_botocore_does(same: Ask, name: str) -> None:
    request, content = OPERATIONS[name]

    def call(client: "DynamoDBClient") -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", client._make_api_call(name, request))  # type: ignore[attr-defined]  # noqa: SLF001  # what every method does

    found = same([answer(content)], call)
    refused = same([refusal("ConditionalCheckFailedException", Item=ITEM)], call)
    throttled = same([refusal("ThrottlingException"), answer(content)], call)

    assert {name: found.answer[name] for name in content} == content
    assert (found.tries, throttled.tries) == ((1, 0, 0), (2, 1, 1))
    assert refused.error[0] == "ConditionalCheckFailedException"
    assert found.sent[0].headers["x-amz-target"] == f"DynamoDB_20120810.{name}"
    assert set(OPERATIONS) == ITEM_OPERATIONS | {"DeleteItem", "DescribeTable"}


def test_an_answer_without_a_checksum_is_taken_as_it_is(same: Ask) -> None:
    found = same([Act(http(b'{"Count": 7}', headers={"x-amzn-RequestId": "R-1"}))], scan).answer
    assert (found["Count"], found["ResponseMetadata"]["RequestId"]) == (7, "R-1")


class Canned:
    """Answers requests before they are sent, and keeps their bodies."""

    def __init__(self, make: Make) -> None:
        self.bodies: list[bytes] = []
        self.answer: Mapping[str, Any] = {}
        self.client = make(SESSION, 4, "http://127.0.0.1:9")
        self.client.meta.events.register("before-send.dynamodb", cast("Any", self._answer))

    def _answer(self, request: Any, **_event: object) -> AWSResponse:
        self.bodies.append(request.body)
        body = json.dumps(self.answer).encode()
        return AWSResponse(request.url, 200, cast("Any", {}), cast("Any", SimpleNamespace(stream=lambda: iter([body]))))


CANNED: Final = [Canned(make) for make in CLIENTS.values()]


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), dynamodb_values, max_size=4))
def test_whatever_dynamodb_can_hold_goes_and_comes_the_same(attributes: Attributes) -> None:
    item: Any = to_attribute_values(attributes)
    for each in CANNED:
        each.client.put_item(TableName="jobs", Item=item)
    by_botocore, by_json = (each.bodies[-1] for each in CANNED)
    assert by_json == by_botocore
    for each in CANNED:
        each.answer = {"Items": [json.loads(by_json)["Item"]]}
        assert from_attribute_values(each.client.scan(TableName="jobs")["Items"][0]) == attributes


def test_parameters_are_not_looked_through_before_they_are_sent() -> None:
    for each in CANNED:
        each.client.get_item(TableName="inventory", Key={"sku": {"S": cast("Any", 7)}})
        assert json.loads(each.bodies[-1])["Key"] == {"sku": {"S": 7}}


# Refusals

REFUSED: Final = {
    **{code: refusal(code) for code in ("ValidationException", "AccessDeniedException", "ResourceNotFoundException")},
    "Bare": answer({"__type": "Bare", "Message": "in capitals"}, 400),
    "400": answer(b"", 400),
    "413": answer(b"<html>Request entity too large</html>", 413),
    "307": answer(b"moved", 307, Location="http://127.0.0.1:9/"),
}


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_refused_for_good_is_asked_once(same: Ask, code: str) -> None:
    outcome = same([REFUSED[code]] * ATTEMPTS, write)

    assert (outcome.tries, outcome.answer["Error"]["Code"]) == ((1, 0, 0), code)
    assert "ClientError" in outcome.error


def test_a_failed_condition_brings_the_item_back(same: Ask) -> None:
    item = {"saves": {"N": "3"}, "map": {"M": {"list": {"L": [{"B": "AP8="}]}}}}

    found = same([refusal("ConditionalCheckFailedException", Item=item)], write).answer["Item"]

    # An error is read by botocore in both: its binary values are bytes.
    assert found == item | {"map": {"M": {"list": {"L": [{"B": b"\x00\xff"}]}}}}


FOR_A_WHILE: Final = {
    "InternalServerError": refusal("InternalServerError", status=500),
    **{code: refusal(code) for code in ("ThrottlingException", "RequestLimitExceeded")},
    "ProvisionedThroughputExceededException": refusal("ProvisionedThroughputExceededException"),
    "502": answer(b"<html><body>Bad Gateway</body></html>", 502),
    "503": answer(b"", 503),
}


@pytest.mark.parametrize("code", FOR_A_WHILE)
def test_what_is_refused_for_a_while_is_asked_again_as_often(same: Ask, code: str) -> None:
    for_good = same(repeat(FOR_A_WHILE[code]), write)
    for_a_while = same([FOR_A_WHILE[code]] * 2 + [answer(DONE)], write)

    assert (for_good.tries, for_good.answer["Error"]["Code"]) == ((ATTEMPTS, ATTEMPTS - 1, ATTEMPTS - 1), code)
    assert for_a_while.tries == (3, 2, 2)
    assert len(set(map(repr, for_a_while.sent))) == 1


# Broken connections and damaged answers


@pytest.mark.parametrize(
    ("broken", "error"),
    [(CLOSED, "ConnectionClosedError"), (RESET, "ConnectionClosedError"), (SILENT, "ReadTimeoutError")],
    ids=["closed", "reset", "silent"],
)
def test_a_request_that_got_no_answer_is_sent_again_as_often(
    same: Ask, monkeypatch: pytest.MonkeyPatch, broken: Act, error: str
) -> None:
    monkeypatch.setattr("inventory_updater.dynamodb.client._READ_SECONDS", 0.1)

    for_good = same(repeat(broken), write)

    assert (for_good.tries, for_good.error[0]) == ((ATTEMPTS, ATTEMPTS - 1, None), error)
    assert same([broken, broken, broken, answer(DONE)], write).tries == (ATTEMPTS, ATTEMPTS - 1, ATTEMPTS - 1)


DAMAGED: Final = {
    "another checksum": answer({}, x_amz_crc32="1"),
    "another checksum, with something in it": answer(DONE, x_amz_crc32="1"),
    "a checksum that does not fit what is left": answer(b'{"Responses":[', x_amz_crc32="1"),
    "cut off, and its length too": Act(http(b'{"Responses":[{"TableName":"inven')),
    "cut off, with the checksum of what is left": answer(b'{"Responses":['),
    "cut in its body": Act(http(b'{"Responses":', length=1000), closes=True),
    "cut in its head": Act(b"HTTP/1.1 200 OK\r\nContent-", closes=True),
    "empty": answer(b""),
    "not JSON": answer(b"<html>Welcome to the airport</html>"),
}


@BOTH
@pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    "call",
    [scan, write, lambda client: client.put_item(TableName="t", Item={}), lambda client: client.list_tables()],
    ids=["scan", "write", "put", "tables"],
)
def test_no_client_takes_a_damaged_answer_for_an_answer(make: Make, damaged: Act, call: Call) -> None:
    # One that is cut in its body is an error of the connection to some releases of botocore.
    error = (DamagedAnswerError, BotoCoreError) if damaged is DAMAGED["cut in its body"] else DamagedAnswerError
    with endpoint(repeat(damaged)) as server, pytest.raises(error):
        call(make(SESSION, 4, server.url))


@pytest.mark.parametrize("content", [b"null", b"[]", b'"text"', b"7", b'{"Responses":"\xff"}'])
def test_what_botocores_parser_breaks_on_is_damaged_too(content: bytes) -> None:
    with endpoint(repeat(answer(content))) as server, pytest.raises(DamagedAnswerError):
        write(dynamodb_client(SESSION, 4, server.url))


def test_an_answer_that_its_checksum_refutes_is_asked_for_again(same: Ask) -> None:
    outcome = same([answer(DONE, x_amz_crc32="1"), answer(b'{"Respon', x_amz_crc32="1"), answer(DONE)], write)
    assert (outcome.answer["Responses"], outcome.tries) == (DONE["Responses"], (3, 2, 2))


def test_a_refusal_that_its_checksum_refutes_is_asked_for_again_and_stays_a_refusal(same: Ask) -> None:
    refused = answer({"__type": "x#AccessDeniedException", "message": "no"}, 400, x_amz_crc32="1")

    for_good = same(repeat(refused), write)

    assert (len(for_good.sent), for_good.answer["Error"]["Code"]) == (ATTEMPTS, "AccessDeniedException")
    assert same([refused, answer(DONE)], write).tries == (2, 1, 1)


# What a batch of writes makes of it

MUG: Final = guarded_update("inventory", {"sku": "mug", "location_id": "DC1"}, {"on_hand": 7}, (), {"on_hand": 10})
CONFLICT: Final = answer({"Responses": [{"Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}]})
UNAVAILABLE: Final = refusal("InternalServerError", status=500)


def landing(make: Make, script: Iterable[Act]) -> Landing:
    """What the product takes a write for."""
    with endpoint(script) as server:
        (found,), _units = send(make(SESSION, 4, server.url), [MUG])
    return found.outcome


@BOTH
@pytest.mark.parametrize("unanswered", [CLOSED, RESET, UNAVAILABLE, *DAMAGED.values()])
def test_a_write_without_an_answer_is_looked_at_again_and_never_a_success(make: Make, unanswered: Act) -> None:
    assert landing(make, repeat(unanswered)) is Landing.LATER


@BOTH
@pytest.mark.parametrize(
    "first", [CLOSED, UNAVAILABLE, refusal("ThrottlingException"), DAMAGED["another checksum, with something in it"]]
)
def test_a_write_that_meets_what_it_may_have_done_itself_is_a_conflict(make: Make, first: Act) -> None:
    assert landing(make, [first, CONFLICT]) is Landing.CONFLICT


@BOTH
@pytest.mark.parametrize("members", [{}, {"Error": None}], ids=["no error", "an error that is null"])
def test_a_write_without_an_error_is_done(make: Make, members: Mapping[str, None]) -> None:
    assert landing(make, [answer({"Responses": [{"TableName": "inventory", **members}]})]) is Landing.DONE


# What botocore stays in charge of


@BOTH
def test_a_proxy_of_the_environment_is_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint([answer({"Count": 7})]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)

        assert scan(make(SESSION, 4, "http://dynamodb.example"))["Count"] == 7

    assert proxy.requests[0].line == "POST http://dynamodb.example/ HTTP/1.1"


@BOTH
def test_whoever_watches_requests_sees_them_signed_and_may_add_to_them(make: Make) -> None:
    seen: list[Any] = []

    def add(request: Any, **_event: object) -> None:
        seen.append(request)
        request.headers["X-Trace"] = "trace-1"

    with endpoint([answer({}), answer(DONE)]) as server:
        client = make(SESSION, 4, server.url)
        client.meta.events.register("before-send.dynamodb.BatchExecuteStatement", add)
        scan(client)
        write(client)

    _, sent = server.requests
    assert [(request.method, request.body) for request in seen] == [("POST", sent.body)]
    assert (sent.headers["x-trace"], sent.headers["x-amz-security-token"]) == ("trace-1", "token")
    assert sent.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")


@BOTH
def test_a_client_retries_within_bounds_and_has_a_connection_for_every_writer(make: Make) -> None:
    config: Any = make(SESSION, 8).meta.config  # the stubs know nothing of what it was made with

    assert config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}
    assert config.max_pool_connections >= 8 + 1  # the reader needs one too
    assert config.read_timeout * ATTEMPTS <= 60
