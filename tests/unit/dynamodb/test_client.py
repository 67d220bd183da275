"""Both clients against the same scripts: the direct transport does what botocore's own client does."""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import chain, count, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
import botocore.session
import pytest
from boto3.dynamodb.types import Binary
from botocore.awsrequest import AWSResponse, HeadersDict
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as ConnectingError
from hypothesis import given
from hypothesis import strategies as st

from inventory_updater.dynamodb.client import DamagedAnswerError, DirectClient, botocore_client, dynamodb_client
from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.planning import Update
from inventory_updater.tables.inventory_table import BatchReport, InventoryTable, scan_request
from tests.builders import moment
from tests.fakes.certificates import certificate
from tests.fakes.endpoint import CLOSED, HOST, RESET, SILENT, Act, Request, answer, endpoint, http, refusal
from tests.strategies import dynamodb_values

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

Make = Callable[..., "DynamoDBClient"]
Call = Callable[["DynamoDBClient"], Mapping[str, Any]]

CLIENTS: Final[dict[str, Make]] = {"botocore": botocore_client, "direct": dynamodb_client}
BOTH: Final = pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in CLIENTS.items()])
ATTEMPTS: Final = 4

DONE: Final = {"Responses": [{"TableName": "inventory"}]}
NOTHING: Final = {"Items": [], "Count": 0, "ScannedCount": 0}


def session(**credentials: str) -> boto3.Session:
    return boto3.Session(
        **{"aws_access_key_id": "AKID", "aws_secret_access_key": "secret", "region_name": "eu-west-1"} | credentials  # type: ignore[arg-type]  # all of them are text
    )


@cache
def shared_session() -> boto3.Session:
    """What a session knows of DynamoDB is read once."""
    return session()


@dataclass(frozen=True)
class Sent:
    """What of a request has to be the same whoever sent it."""

    line: str
    host: str
    target: str
    content_type: str
    token: str | None
    content: object

    @classmethod
    def of(cls, request: Request) -> "Sent":
        return cls(
            request.line,
            # Every client has an endpoint of its own.
            request.headers["host"].partition(":")[0],
            request.target,
            request.headers["content-type"],
            request.headers.get("x-amz-security-token"),
            request.content,
        )


@dataclass(frozen=True)
class Outcome:
    """What a client sent, and what its caller got."""

    sent: list[Sent]
    pauses: int
    answer: Mapping[str, Any] | None = None
    error: tuple[str, ...] = ()
    """The name of the error's class and those of its bases."""
    message: str = ""
    response: Mapping[str, Any] = field(default_factory=dict)

    @property
    def attempts(self) -> int:
        return len(self.sent)

    @property
    def retries(self) -> object:
        """How many retries botocore's metadata tell of."""
        found = self.answer if self.answer is not None else self.response
        return found["ResponseMetadata"].get("RetryAttempts")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts, which nobody waits for."""
    made: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=made.append))
    monkeypatch.setattr("inventory_updater.dynamodb.client.time", SimpleNamespace(sleep=made.append))
    return made


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands between a client and its endpoint, whatever there is where the tests run."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def outcomes(pauses: list[float]) -> Callable[..., dict[str, Outcome]]:
    """What comes of one call over either client, each with an endpoint of its own that plays the same script."""

    def play(make: Make, script: Iterable[Act], call: Call, session: boto3.Session) -> Outcome:
        pauses.clear()
        with endpoint(script) as server:
            client = make(session, 4, server.url)
            try:
                result, error = without_headers(call(client)), None
            except (ClientError, BotoCoreError) as caught:
                result, error = None, caught
            sent = [Sent.of(request) for request in server.requests]
            client.close()
        if error is None:
            return Outcome(sent, len(pauses), result)
        classes = tuple(each.__name__ for each in type(error).__mro__)
        if not isinstance(error, ClientError):
            return Outcome(sent, len(pauses), error=classes)
        response = without_headers(cast("Mapping[str, Any]", error.response))
        return Outcome(sent, len(pauses), None, classes, str(error), response)

    def both(script: Iterable[Act], call: Call, session: boto3.Session | None = None) -> dict[str, Outcome]:
        acts = script if isinstance(script, list | repeat) else list(script)
        return {name: play(make, acts, call, session or shared_session()) for name, make in CLIENTS.items()}

    return both


@pytest.fixture
def same(outcomes: Callable[..., dict[str, Outcome]]) -> Callable[..., Outcome]:
    """The outcome that both clients have in common."""

    def ask(script: Iterable[Act], call: Call, session: boto3.Session | None = None) -> Outcome:
        found = outcomes(script, call, session)
        assert found["direct"] == found["botocore"]
        return found["direct"]

    return ask


Ask = Callable[..., Outcome]


def without_headers(response: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without the one thing that only botocore adds, and that nobody reads."""
    metadata = {name: value for name, value in response["ResponseMetadata"].items() if name != "HTTPHeaders"}
    return {**response, "ResponseMetadata": metadata}


def scan(client: "DynamoDBClient") -> Mapping[str, Any]:
    return client.scan(TableName="inventory")


def write(client: "DynamoDBClient") -> Mapping[str, Any]:
    return client.batch_execute_statement(Statements=[{"Statement": "UPDATE", "Parameters": [{"N": "1"}]}])


def put(client: "DynamoDBClient") -> Mapping[str, Any]:
    return client.put_item(TableName="jobs", Item={"job_id": {"S": "job-1"}})


CALLS: Final = pytest.mark.parametrize("call", [scan, write, put])

VALUES: Final[dict[str, object]] = {
    "text": 'mug \U0001f6d2 " \\ \n \x00 \u2028 é',
    "empty": "",
    "number": 10,
    "binary": Binary(b"\x00\xff"),
    "binaries": {Binary(b"\x01")},
    "null": None,
    "true": True,
    "map": {"pending": {"c-1": {"kind": "price", "value": 4}}, "list": [1, "2", {"three": Binary(b"\x03")}]},
    "list": [],
    "texts": {"one"},
    "numbers": {1},
}


# Requests


@pytest.mark.parametrize("scope", ["due", "all"])
def test_a_scan_is_sent_as_botocore_sends_it(same: Ask, scope: Any) -> None:
    cursor = {"sku": "mug", "location_id": "DC1", "odd": Binary(b"\xff")}
    request = scan_request("inventory", scope, moment("09:00"), segment=1, segments=4, limit=250, cursor=cursor)

    (sent,) = same([answer(NOTHING)], lambda client: client.scan(**request)).sent

    assert (sent.line, sent.host, sent.target) == ("POST / HTTP/1.1", HOST, "DynamoDB_20120810.Scan")
    assert (sent.content_type, sent.token) == ("application/x-amz-json-1.0", None)
    content = cast("dict[str, Any]", sent.content)
    assert content["ExclusiveStartKey"] == {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}, "odd": {"B": "/w=="}}


def test_a_batch_is_sent_as_botocore_sends_it(same: Ask) -> None:
    parameters: Any = list(to_attribute_values(VALUES).values())
    outcome = same(
        [answer(DONE)],
        lambda client: client.batch_execute_statement(
            Statements=[
                {
                    "Statement": 'UPDATE "inventory" SET "a"=? WHERE "b"=?',
                    "Parameters": parameters,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            ],
            ReturnConsumedCapacity="TOTAL",
        ),
    )

    assert [sent.target for sent in outcome.sent] == ["DynamoDB_20120810.BatchExecuteStatement"]


def test_an_item_is_put_as_botocore_puts_it(same: Ask) -> None:
    item: Any = to_attribute_values(VALUES)
    outcome = same(
        [answer({})],
        lambda client: client.put_item(
            TableName="jobs",
            Item=item,
            ConditionExpression="attribute_not_exists(job_id)",
            ExpressionAttributeValues={":mine": {"B": b"\x00"}},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        ),
    )

    assert [sent.target for sent in outcome.sent] == ["DynamoDB_20120810.PutItem"]


def test_the_inventory_table_writes_the_same_over_both(same: Ask) -> None:
    values = {name: value for name, value in VALUES.items() if name not in ("binaries", "texts", "numbers")}
    update = Update(ItemKey("mug", "DC1"), values, ("next_change_at",), {"on_hand": 10, "reserved": None} | values)

    def write_one(client: "DynamoDBClient") -> Mapping[str, Any]:
        report = write_batch(client, update)
        assert [result.written for result in report.results] == [True]
        return {"ResponseMetadata": {}}

    (sent,) = same([answer(DONE)], write_one).sent

    assert cast("dict[str, Any]", sent.content)["Statements"][0]["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


ITEM: Final = {"sku": {"S": "mug é"}, "map": {"M": {"list": {"L": [{"N": "1"}, {"NULL": True}]}}}}
KEY: Final = {"sku": {"S": "mug"}, "location_id": {"S": "DC1"}}

OPERATIONS: Final[dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    "scan": ({"TableName": "t"}, {"Items": [ITEM], "Count": 1, "ScannedCount": 2, "LastEvaluatedKey": KEY}),
    "query": (
        {
            "TableName": "t",
            "KeyConditionExpression": "sku = :sku",
            "ExpressionAttributeValues": {":sku": {"B": b"\xff"}},
        },
        {"Items": [ITEM], "Count": 1},
    ),
    "get_item": ({"TableName": "t", "Key": KEY, "ConsistentRead": True}, {"Item": ITEM}),
    "batch_get_item": (
        {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
        {"Responses": {"t": [ITEM]}, "UnprocessedKeys": {"t": {"Keys": [KEY], "ConsistentRead": True}}},
    ),
    "put_item": ({"TableName": "t", "Item": ITEM}, {"Attributes": ITEM}),
    "update_item": ({"TableName": "t", "Key": KEY, "UpdateExpression": "SET a = :b"}, {"Attributes": ITEM}),
    "delete_item": ({"TableName": "t", "Key": KEY}, {"Attributes": ITEM}),
    "batch_write_item": (
        {"RequestItems": {"t": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": KEY}}]}},
        {"UnprocessedItems": {"t": [{"PutRequest": {"Item": ITEM}}]}},
    ),
    "batch_execute_statement": (
        {"Statements": [{"Statement": "UPDATE", "Parameters": [{"S": "é"}]}]},
        {"Responses": [{"TableName": "t"}, {"Error": {"Code": "DuplicateItem", "Message": "no", "Item": ITEM}}]},
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_on_items_asks_and_answers_as_botocore_does(same: Ask, name: str) -> None:
    request, content = OPERATIONS[name]

    def call(client: "DynamoDBClient") -> Mapping[str, Any]:
        return cast("Mapping[str, Any]", getattr(client, name)(**request))

    found = same([answer(content)], call)
    refused = same([refusal("ConditionalCheckFailedException", Item=ITEM)], call)
    throttled = same([refusal("ThrottlingException"), answer(content)], call)

    assert found.answer is not None
    assert {name: found.answer[name] for name in content} == content
    assert (found.attempts, throttled.attempts, throttled.retries) == (1, 2, 1)
    assert refused.error[0] == "ConditionalCheckFailedException"
    assert found.sent[0].target == f"DynamoDB_20120810.{name.title().replace('_', '')}"


def test_an_operation_on_tables_goes_by_botocore(same: Ask) -> None:
    outcome = same(
        [answer({"Table": {"TableName": "inventory", "CreationDateTime": 1.5e9}})],
        lambda client: client.describe_table(TableName="inventory"),
    )

    assert [sent.target for sent in outcome.sent] == ["DynamoDB_20120810.DescribeTable"]
    assert outcome.answer is not None
    assert isinstance(outcome.answer["Table"]["CreationDateTime"], datetime)


def test_pages_are_turned_by_botocore(same: Ask) -> None:
    def every_item(client: "DynamoDBClient") -> Mapping[str, Any]:
        pages = list(client.get_paginator("scan").paginate(TableName="inventory"))
        return {"items": [item for page in pages for item in page["Items"]], "ResponseMetadata": {}}

    outcome = same([answer({"Items": [ITEM], "LastEvaluatedKey": KEY}), answer({"Items": [ITEM]})], every_item)

    assert outcome.answer is not None
    assert outcome.answer["items"] == [ITEM, ITEM]


# Answers


def test_an_answer_is_what_botocore_makes_of_it(same: Ask) -> None:
    page = {
        "Items": [{"sku": {"S": "mug"}, "map": {"M": {"é": {"L": [{"N": "1"}, {"BOOL": False}, {"NULL": True}]}}}}],
        "Count": 1,
        "ScannedCount": 250,
        "LastEvaluatedKey": {"sku": {"S": "mug \U0001f6d2"}},
        "ConsumedCapacity": {"TableName": "inventory", "CapacityUnits": 128.5},
    }

    outcome = same([answer(page, request_id="R-17")], scan)

    assert outcome.answer == page | {
        "ResponseMetadata": {"RequestId": "R-17", "HTTPStatusCode": 200, "RetryAttempts": 0}
    }
    assert (outcome.attempts, outcome.pauses) == (1, 0)


def test_an_answer_to_a_batch_is_what_botocore_makes_of_it(same: Ask) -> None:
    responses = [
        {"TableName": "inventory"},
        {
            "TableName": "inventory",
            "Error": {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"a": {"N": "1"}}},
        },
        {"TableName": "inventory", "Error": {"Code": "ThrottlingError", "Message": "too fast"}},
    ]

    outcome = same([answer({"Responses": responses})], write)

    assert outcome.answer is not None
    assert outcome.answer["Responses"] == responses


def test_an_answer_without_a_checksum_is_taken_as_it_is(same: Ask) -> None:
    outcome = same([Act((http(b'{"Count": 7}', headers={"x-amzn-RequestId": "R-1"}),))], scan)

    assert outcome.answer is not None
    assert outcome.answer["Count"] == 7


def test_binary_values_of_an_answer_are_read_the_same(outcomes: Callable[..., dict[str, Outcome]]) -> None:
    item = {"one": {"B": "AP8="}, "many": {"BS": ["AP8="]}, "deep": {"M": {"list": {"L": [{"B": "AP8="}]}}}}

    found = outcomes([answer({"Items": [item]})], scan)

    read = {name: from_attribute_values(cast("Any", outcome.answer)["Items"][0]) for name, outcome in found.items()}
    assert read["direct"] == read["botocore"]
    assert read["direct"]["one"] == Binary(b"\x00\xff")


class Canned:
    """Answers requests before they are sent, and keeps them."""

    def __init__(self, make: Make, url: str | None = "http://127.0.0.1:9", operation: str = "") -> None:
        self.requests: list[Any] = []
        self.answers: Iterator[Act | None] = repeat(answer({}))
        self.client = make(shared_session(), 4, url)
        events: Any = self.client.meta.events  # the stubs let nobody answer
        events.register(f"before-send.dynamodb{operation}", self._answer)

    def _answer(self, request: Any, **_event: object) -> AWSResponse | None:
        self.requests.append(request)
        act = next(self.answers)
        if act is None:
            return None
        head, _, body = b"".join(act.parts).partition(b"\r\n\r\n")
        status_line, *lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        raw = SimpleNamespace(stream=lambda: iter([body]))
        return AWSResponse(
            request.url, int(status_line.split()[1]), cast("Any", HeadersDict(headers)), cast("Any", raw)
        )


@cache
def canned() -> list[Canned]:
    return [Canned(make) for make in CLIENTS.values()]


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), dynamodb_values, max_size=4))
def test_whatever_dynamodb_can_hold_goes_and_comes_the_same(attributes: Attributes) -> None:
    item: Any = to_attribute_values(attributes)
    came = []
    for each in canned():
        each.client.put_item(TableName="jobs", Item=item)
        sent = json.loads(each.requests[-1].body)["Item"]
        each.answers = iter([answer({"Items": [sent]})])
        came.append(from_attribute_values(each.client.scan(TableName="jobs")["Items"][0]))
        each.answers = repeat(answer({}))
    direct, reference = (json.loads(each.requests[-2].body) for each in canned())

    assert direct == reference
    assert came == [attributes, attributes]


# Refusals


@pytest.mark.parametrize(
    ("refused", "code", "name"),
    [
        (refusal("ValidationException", "1 validation error"), "ValidationException", "ClientError"),
        (refusal("AccessDeniedException"), "AccessDeniedException", "ClientError"),
        (refusal("UnrecognizedClientException"), "UnrecognizedClientException", "ClientError"),
        (refusal("ResourceNotFoundException"), "ResourceNotFoundException", "ResourceNotFoundException"),
        (
            refusal("ConditionalCheckFailedException"),
            "ConditionalCheckFailedException",
            "ConditionalCheckFailedException",
        ),
        (answer({"__type": "Bare", "Message": "in capitals"}, 400), "Bare", "ClientError"),
        (answer({"__type": "With:detail", "message": "no"}, 400), "With", "ClientError"),
        (answer({"message": "no type"}, 400), "400", "ClientError"),
        (answer({"__type": "x#NoMessage"}, 400), "NoMessage", "ClientError"),
        (answer(b"", 400), "400", "ClientError"),
        (answer(b"not found", 404), "404", "ClientError"),
        (answer(b"<html>Request entity too large</html>", 413), "413", "ClientError"),
        (answer(b"moved", 307, Location="http://127.0.0.1:9/"), "307", "ClientError"),
    ],
    ids=[
        "validation", "access", "signature", "no table", "condition", "bare code", "code with detail", "no code",
        "no message", "empty", "text", "HTML", "redirect",
    ],
)  # fmt: skip
@CALLS
def test_what_is_refused_for_good_is_asked_once(same: Ask, call: Call, refused: Act, code: str, name: str) -> None:
    outcome = same([refused] * ATTEMPTS, call)

    assert (outcome.attempts, outcome.pauses, outcome.retries) == (1, 0, 0)
    assert outcome.response["Error"]["Code"] == code
    assert outcome.response["ResponseMetadata"]["RequestId"] == "REQUEST-1"
    assert outcome.error[0] == name
    assert "ClientError" in outcome.error
    assert code in outcome.message


def test_a_failed_condition_brings_the_item_back(same: Ask) -> None:
    item = {"call_token": {"S": "other"}, "saves": {"N": "3"}, "map": {"M": {"list": {"L": [{"B": "AP8="}]}}}}

    outcome = same([refusal("ConditionalCheckFailedException", "The conditional request failed", Item=item)], put)

    # An error is read by botocore in both: its binary values are bytes.
    assert outcome.response["Item"] == item | {"map": {"M": {"list": {"L": [{"B": b"\x00\xff"}]}}}}
    assert outcome.response["Error"]["Message"] == "The conditional request failed"


def test_an_error_is_caught_by_its_name_among_the_clients_exceptions() -> None:
    with endpoint([refusal("ConditionalCheckFailedException")]) as server:
        client = dynamodb_client(shared_session(), 4, server.url)

        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            put(client)


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (refusal("InternalServerError", status=500), "InternalServerError"),
        (refusal("ServiceUnavailable", status=503), "ClientError"),
        (refusal("ThrottlingException"), "ThrottlingException"),
        (refusal("ProvisionedThroughputExceededException"), "ProvisionedThroughputExceededException"),
        (refusal("RequestLimitExceeded"), "RequestLimitExceeded"),
        (refusal("TransactionInProgressException"), "TransactionInProgressException"),
        (answer(b"<html><body>Bad Gateway</body></html>", 502), "ClientError"),
        (answer(b"Gateway Timeout", 504), "ClientError"),
        (answer(b"", 500), "ClientError"),
        (answer(b"", 503), "ClientError"),
    ],
    ids=[
        "500", "503", "throttled", "too little throughput", "too many requests", "in progress", "HTML at 502",
        "text at 504", "empty at 500", "empty at 503",
    ],
)  # fmt: skip
@CALLS
def test_what_is_refused_for_a_while_is_asked_again_as_often(same: Ask, call: Call, failing: Act, error: str) -> None:
    for_good = same(repeat(failing), call)
    for_a_while = same([failing, failing, answer({})], call)

    if error != "TransactionInProgressException":  # botocore's business alone
        assert (for_good.attempts, for_good.pauses, for_good.retries) == (ATTEMPTS, ATTEMPTS - 1, ATTEMPTS - 1)
        assert for_good.response["ResponseMetadata"]["MaxAttemptsReached"]
        assert (for_a_while.attempts, for_a_while.pauses, for_a_while.retries) == (3, 2, 2)
        assert len(set(map(repr, for_a_while.sent))) == 1
    assert for_good.error[0] == error


# Broken connections and damaged answers


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (CLOSED, "ConnectionClosedError"),
        (RESET, "ConnectionClosedError"),
        (SILENT, "ReadTimeoutError"),
    ],
    ids=["closed", "reset", "silent"],
)
def test_a_request_that_got_no_answer_is_sent_again_as_often(
    same: Ask, monkeypatch: pytest.MonkeyPatch, broken: Act, error: str
) -> None:
    monkeypatch.setattr("inventory_updater.dynamodb.client._READ_SECONDS", 0.1)

    for_good = same(repeat(broken), write)
    for_a_while = same([broken, broken, answer(DONE)], write)

    assert (for_good.attempts, for_good.pauses, for_good.error[0]) == (ATTEMPTS, ATTEMPTS - 1, error)
    assert (for_a_while.attempts, for_a_while.retries) == (3, 2)


@BOTH
def test_the_last_attempt_counts_like_the_first(make: Make) -> None:
    with endpoint([CLOSED, RESET, CLOSED, answer(DONE)]) as server:
        found = write(make(shared_session(), 4, server.url))

    assert (found["Responses"], found["ResponseMetadata"]["RetryAttempts"]) == (DONE["Responses"], 3)


def test_an_answer_cut_in_its_head_is_a_broken_connection(pauses: list[float]) -> None:
    # botocore takes it for a whole one without a body: that is a damaged answer.
    with endpoint([Act((b"HTTP/1.1 200 OK\r\nContent-",), closes=True), answer(DONE)]) as server:
        found = write(dynamodb_client(shared_session(), 4, server.url))

    assert (found["ResponseMetadata"]["RetryAttempts"], len(pauses)) == (1, 1)


def test_an_answer_cut_in_its_body_is_a_broken_connection(outcomes: Callable[..., dict[str, Outcome]]) -> None:
    cut = Act((http(b'{"Responses":', length=1000),), closes=True)

    for outcome in outcomes(repeat(cut), write).values():
        # Which of the two families it is of is of no matter: both are retried, and `BROKEN_CONNECTIONS` has both.
        assert (outcome.attempts, outcome.pauses) == (ATTEMPTS, ATTEMPTS - 1)
        assert {"ConnectionError", "HTTPClientError"} & set(outcome.error)


def test_where_nobody_listens_it_is_tried_as_often(pauses: list[float]) -> None:
    with endpoint([]) as server:
        url = server.url
    for make in CLIENTS.values():
        pauses.clear()
        with pytest.raises(ConnectingError):
            scan(make(shared_session(), 4, url))
        assert len(pauses) == ATTEMPTS - 1


DAMAGED: Final = {
    "another checksum": answer({}, x_amz_crc32="1"),
    "cut off": Act((http(b'{"Responses":[{"TableName":"inven'),)),
    "cut off, with the checksum of what is left": answer(b'{"Responses":['),
    "empty": answer(b""),
    "not JSON": answer(b"<html>Welcome to the airport</html>"),
    "not UTF-8": answer(b'{"Responses":"\xff"}'),
}
damaged: Final = pytest.mark.parametrize("damaged", DAMAGED.values(), ids=DAMAGED)
# botocore reads no other text than UTF-8, and says so in an error of Python's.
damaged_for_both: Final = pytest.mark.parametrize("damaged", list(DAMAGED.values())[:-1], ids=list(DAMAGED)[:-1])


@damaged
@CALLS
def test_a_damaged_answer_is_asked_for_again(pauses: list[float], call: Call, damaged: Act) -> None:
    with endpoint([damaged, damaged, answer(DONE)]) as server:
        found = call(dynamodb_client(shared_session(), 4, server.url))

    assert found["Responses"] == DONE["Responses"]
    assert (found["ResponseMetadata"]["RetryAttempts"], len(pauses)) == (2, 2)


@damaged
@CALLS
def test_an_answer_that_is_always_damaged_is_an_error(pauses: list[float], call: Call, damaged: Act) -> None:
    with endpoint(repeat(damaged)) as server:
        with pytest.raises(DamagedAnswerError):
            call(dynamodb_client(shared_session(), 4, server.url))

        assert (len(server.requests), len(pauses)) == (ATTEMPTS, ATTEMPTS - 1)


@BOTH
@damaged_for_both
@CALLS
def test_no_client_takes_a_damaged_answer_for_an_answer(make: Make, call: Call, damaged: Act) -> None:
    with endpoint(repeat(damaged)) as server, pytest.raises(DamagedAnswerError):
        call(make(shared_session(), 4, server.url))


@BOTH
@damaged_for_both
def test_nor_for_an_operation_on_tables(make: Make, damaged: Act) -> None:
    with endpoint(repeat(damaged)) as server, pytest.raises(DamagedAnswerError):
        make(shared_session(), 4, server.url).describe_table(TableName="inventory")


def test_a_damaged_refusal_is_asked_for_again_and_stays_a_refusal(same: Ask) -> None:
    refused = answer({"__type": "x#AccessDeniedException", "message": "no"}, 400, x_amz_crc32="1")

    for_good, once = same(repeat(refused), scan), same([refused, answer(NOTHING)], scan)

    assert (for_good.attempts, for_good.response["Error"]["Code"]) == (ATTEMPTS, "AccessDeniedException")
    assert (once.attempts, once.retries) == (2, 1)


def write_batch(client: "DynamoDBClient", *updates: Update) -> BatchReport[Any]:
    """What a table reports that has time for one request."""
    seconds = chain([100.0, 100.0], repeat(0.0))
    table = InventoryTable(client, "inventory")
    batch = {update.key: SimpleNamespace(write=update) for update in updates}
    limits = Limits(lambda: next(seconds), sleep=lambda _seconds: None)
    return table.write_batch(batch, lambda _key, _attributes: SimpleNamespace(write=None), limits)


# What the inventory table makes of it

MUG: Final = Update(ItemKey("mug", "DC1"), {"on_hand": 7}, (), {"on_hand": 10})


@BOTH
@pytest.mark.parametrize(
    "unanswered", [CLOSED, RESET, refusal("InternalServerError", status=500)], ids=["closed", "reset", "HTTP 500"]
)
def test_a_write_without_an_answer_is_in_doubt(make: Make, unanswered: Act) -> None:
    with endpoint(repeat(unanswered)) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [(result.written, result.code) for result in report.results] == [(False, "ThrottlingError")]
    assert report.unanswered == {MUG.key}
    assert report.is_in_doubt


@BOTH
@damaged_for_both
def test_a_write_whose_answer_is_damaged_is_in_doubt_and_never_a_success(make: Make, damaged: Act) -> None:
    with endpoint(repeat(damaged)) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [(result.written, result.code) for result in report.results] == [(False, "ThrottlingError")]
    assert report.unanswered == {MUG.key}
    assert report.is_in_doubt


@BOTH
@pytest.mark.parametrize("first", [CLOSED, refusal("InternalServerError", status=500), refusal("ThrottlingException")])
def test_a_write_that_was_sent_before_may_have_landed_before(make: Make, first: Act) -> None:
    conflict = {"TableName": "inventory", "Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}
    with endpoint([first, answer({"Responses": [conflict]})]) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [(result.written, result.code) for result in report.results] == [(False, None)]
    assert report.is_in_doubt


@BOTH
def test_a_write_that_was_refused_in_the_end_may_have_landed_before(make: Make) -> None:
    with endpoint(chain([CLOSED], repeat(refusal("ThrottlingException")))) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [(result.written, result.code) for result in report.results] == [(False, "ThrottlingError")]
    assert report.is_in_doubt


@BOTH
def test_a_write_that_is_refused_for_good_is_an_error_at_once(make: Make) -> None:
    with endpoint([refusal("ItemCollectionSizeLimitExceededException")]) as server:
        with pytest.raises(ClientError):
            write_batch(make(shared_session(), 4, server.url), MUG)

        assert len(server.requests) == 1


@BOTH
def test_a_write_whose_first_answer_was_damaged_may_have_landed_before(make: Make) -> None:
    conflict = {"TableName": "inventory", "Error": {"Code": "ConditionalCheckFailed", "Message": "no"}}
    script = [answer(DONE, x_amz_crc32="1"), answer({"Responses": [conflict]})]
    with endpoint(script) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [result.written for result in report.results] == [False]
    assert report.is_in_doubt


@BOTH
def test_a_write_that_was_answered_at_once_is_not_in_doubt(make: Make) -> None:
    with endpoint([answer(DONE)]) as server:
        report = write_batch(make(shared_session(), 4, server.url), MUG)

    assert [result.written for result in report.results] == [True]
    assert (report.unanswered, report.is_in_doubt) == (set(), False)


# Credentials


def test_the_token_of_temporary_credentials_is_sent(same: Ask) -> None:
    (sent,) = same([answer({})], scan, session(aws_session_token="temporary")).sent

    assert sent.token == "temporary"


def test_without_credentials_nothing_is_sent(same: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    outcome = same([answer({})], scan, boto3.Session(region_name="eu-west-1"))

    assert outcome.error[0] == NoCredentialsError.__name__
    assert (outcome.attempts, outcome.pauses) == (0, 0)


class RefreshedEveryTime:
    """A source of credentials that are always about to expire."""

    METHOD = CANONICAL_NAME = "tests"

    def __init__(self) -> None:
        self._numbers = count(1)

    def load_credentials(self) -> RefreshableCredentials:
        return RefreshableCredentials.create_from_metadata(self._next(), self._next, "tests")

    def _next(self) -> dict[str, str]:
        number = next(self._numbers)
        soon = datetime.now(UTC) + timedelta(minutes=5)
        return {
            "access_key": f"AKID{number}",
            "secret_key": f"secret-{number}",
            "token": f"token-{number}",
            "expiry_time": soon.isoformat(),
        }


@BOTH
def test_a_request_is_signed_with_the_credentials_of_its_moment(make: Make) -> None:
    core = botocore.session.get_session()
    core.register_component("credential_provider", RefreshedEveryTime())
    with endpoint(repeat(answer({}))) as server:
        client = make(boto3.Session(botocore_session=core, region_name="eu-west-1"), 4, server.url)
        for _ in range(3):
            scan(client)

    keys = [int(each.headers["authorization"].partition("/")[0].rpartition("AKID")[2]) for each in server.requests]
    assert keys[0] < keys[1] < keys[2]
    assert [each.headers["x-amz-security-token"] for each in server.requests] == [f"token-{key}" for key in keys]


# Ways to the endpoint


def is_direct(client: object) -> bool:
    return isinstance(client, DirectClient)


@BOTH
def test_a_proxy_of_the_environment_is_used(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with endpoint([answer(NOTHING)]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        client = make(shared_session(), 4, "http://dynamodb.example")

        assert scan(client)["Count"] == 0

    assert not is_direct(client)
    assert proxy.requests[0].line == "POST http://dynamodb.example/ HTTP/1.1"


def test_an_endpoint_that_needs_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", HOST)
    with endpoint([answer(NOTHING)]) as server:
        client = dynamodb_client(shared_session(), 4, server.url)

        assert is_direct(client)
        assert scan(client)["Count"] == 0


@BOTH
def test_the_certificates_of_the_environment_are_trusted(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own = certificate(tmp_path, HOST)
    with endpoint(repeat(answer(NOTHING)), own.server) as server:
        with pytest.raises(ConnectingError):
            scan(make(session(), 4, server.url))
        assert server.requests == []

        monkeypatch.setenv("AWS_CA_BUNDLE", own.bundle)
        assert scan(make(session(), 4, server.url))["Count"] == 0


def test_without_an_endpoint_it_is_that_of_the_region() -> None:
    each = {name: Canned(make, None) for name, make in CLIENTS.items()}
    for one in each.values():
        scan(one.client)

    assert {name: one.requests[0].url for name, one in each.items()} == dict.fromkeys(
        CLIENTS, "https://dynamodb.eu-west-1.amazonaws.com/"
    )
    assert each["direct"].requests[0].headers["Host"] == "dynamodb.eu-west-1.amazonaws.com"


# Events


@BOTH
@CALLS
def test_whoever_watches_requests_sees_them_before_they_are_sent(make: Make, call: Call) -> None:
    with endpoint([answer(DONE)]) as server:
        watching = Canned(make, server.url)
        watching.answers = repeat(None)

        call(watching.client)

        (seen,), (sent,) = watching.requests, server.requests
        assert (seen.method, seen.url) == ("POST", f"{server.url}/")
        assert seen.body == sent.body
        assert seen.headers["X-Amz-Target"] in (sent.target, sent.target.encode())
        assert seen.headers["Authorization"] in (sent.headers["authorization"], sent.headers["authorization"].encode())


@BOTH
def test_whoever_watches_requests_may_add_to_them(make: Make) -> None:
    def add(request: Any, **_event: object) -> None:
        request.headers["X-Trace"] = "trace-1"

    with endpoint([answer(DONE)]) as server:
        client = make(shared_session(), 4, server.url)
        client.meta.events.register("before-send.dynamodb.Scan", add)

        scan(client)

    assert server.requests[0].headers["x-trace"] == "trace-1"


@BOTH
def test_whoever_watches_requests_may_answer_them(make: Make) -> None:
    answering = Canned(make)
    answering.answers = iter(
        [answer({"Count": 7}), refusal("ThrottlingException"), answer({"Count": 8}), refusal("AccessDeniedException")]
    )

    first, second = scan(answering.client), scan(answering.client)

    assert (first["Count"], first["ResponseMetadata"]["RetryAttempts"]) == (7, 0)
    assert (second["Count"], second["ResponseMetadata"]["RetryAttempts"]) == (8, 1)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        scan(answering.client)
    assert len(answering.requests) == 4


@BOTH
def test_whoever_watches_one_operation_sees_no_other(make: Make) -> None:
    watching = Canned(make, operation=".Scan")
    seen = len(watching.requests)
    scan(watching.client)
    with endpoint([answer({})]) as server:
        beside = make(shared_session(), 4, server.url)
        beside.meta.events.register("before-send.dynamodb.Scan", lambda **_event: pytest.fail("this is no scan"))
        put(beside)

    assert (seen, len(watching.requests)) == (0, 1)


# Retries of many requests


def test_retries_are_taken_from_one_quota_and_given_back() -> None:
    # Of 500 units a retry takes 5, and a success gives back what its last retry took: else it would give back 1.
    for make in CLIENTS.values():
        client = Canned(make)
        for _ in range(150):
            client.answers = iter([refusal("ThrottlingException"), answer({})])
            scan(client.client)
        assert len(client.requests) == 300


def test_where_everything_fails_the_quota_of_retries_runs_out_at_the_same_request() -> None:
    attempts: dict[str, list[int]] = {}
    for name, make in CLIENTS.items():
        client = Canned(make)
        client.answers = repeat(refusal("InternalServerError", status=500))
        attempts[name] = []
        for _ in range(45):
            before = len(client.requests)
            with pytest.raises(ClientError):
                scan(client.client)
            attempts[name].append(len(client.requests) - before)

    assert attempts["direct"] == attempts["botocore"]
    assert (attempts["direct"][0], attempts["direct"][-1]) == (ATTEMPTS, 1)


# Settings


@BOTH
def test_a_client_retries_within_bounds_and_has_a_connection_for_every_writer(make: Make) -> None:
    config: Any = make(shared_session(), 8).meta.config  # the stubs know nothing of what it was made with

    assert config.retries == {"mode": "standard", "total_max_attempts": ATTEMPTS}
    assert config.max_pool_connections >= 8 + 1  # the reader needs one too
    assert config.read_timeout * ATTEMPTS <= 60


@BOTH
@pytest.mark.parametrize("operation", ["get_item", "delete_item"])
def test_parameters_are_not_looked_through_before_they_are_sent(make: Make, operation: str) -> None:
    client = Canned(make)

    getattr(client.client, operation)(TableName="inventory", Key={"sku": {"S": 7}})

    assert json.loads(client.requests[0].body)["Key"] == {"sku": {"S": 7}}


def test_the_direct_way_keeps_a_connection_for_every_writer_and_the_reader() -> None:
    everybody_has_asked = threading.Barrier(9)
    act = Act(answer(NOTHING).parts, waits=lambda: everybody_has_asked.wait(30))
    with endpoint(repeat(act)) as server, ThreadPoolExecutor(9) as executor:
        client = dynamodb_client(shared_session(), 8, server.url)
        for _ in range(2):
            list(executor.map(lambda _: scan(client), range(9)))

        assert server.connections == 9


# What is rare


@pytest.mark.parametrize("content", [b"null", b"[]", b'"text"', b"7"])
def test_an_answer_that_is_no_object_is_damaged(content: bytes) -> None:
    with endpoint(repeat(answer(content))) as server:
        report = write_batch(dynamodb_client(shared_session(), 4, server.url), MUG)

    assert report.is_in_doubt


def test_an_answer_with_a_checksum_that_is_no_number_is_damaged() -> None:
    with endpoint(repeat(answer(DONE, x_amz_crc32="none"))) as server:
        report = write_batch(dynamodb_client(shared_session(), 4, server.url), MUG)

    assert report.is_in_doubt


def test_a_redirect_of_many_choices_is_an_error_of_the_client() -> None:
    with endpoint(repeat(answer(b"", 300))) as server, pytest.raises(ClientError):
        scan(dynamodb_client(shared_session(), 4, server.url))


@pytest.mark.parametrize("name", ["no_proxy", "ftp_proxy", "https_proxy"])
def test_only_a_proxy_for_this_endpoint_stands_in_the_direct_way(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert is_direct(dynamodb_client(shared_session(), 4, "http://dynamodb.example"))


def test_an_endpoint_under_a_path_is_asked_there() -> None:
    seen = {}
    for name, make in CLIENTS.items():
        with endpoint([answer(NOTHING)]) as server:
            scan(make(shared_session(), 4, f"{server.url}/somewhere"))
            seen[name] = server.requests[0].line

    assert seen["direct"] == seen["botocore"]


def test_a_batch_with_a_null_error_is_written() -> None:
    with endpoint([answer({"Responses": [{"TableName": "inventory", "Error": None}]})]) as server:
        report = write_batch(dynamodb_client(shared_session(), 4, server.url), MUG)

    assert [result.written for result in report.results] == [True]


def test_a_client_that_is_closed_leaves_no_connection_open() -> None:
    with endpoint([answer(NOTHING)]) as server:
        client = dynamodb_client(shared_session(), 4, server.url)
        scan(client)
        client.close()
        assert server.wait_until_one_is_closed() == 0


def test_who_could_not_be_trusted_is_told(tmp_path: Path) -> None:
    own = certificate(tmp_path, HOST)
    with (
        endpoint(repeat(answer(NOTHING)), own.server) as server,
        pytest.raises(ConnectingError, match="certificate verify failed"),
    ):
        scan(dynamodb_client(shared_session(), 4, server.url))
