"""All that is used of botocore and not documented: its serializer, its parser, and its event after a call.

The first two walk through DynamoDB's model of shapes, which is most of what a request costs. For the operations on
items JSON alone says the same; only binary values of an answer stay base64 text. Everything else stays botocore's.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import json
import zlib
from base64 import b64encode
from collections.abc import Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.exceptions import HTTPClientError

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ITEM_OPERATIONS: Final = frozenset(
    {
        "BatchExecuteStatement",
        "BatchGetItem",
        "BatchWriteItem",
        "GetItem",
        "PutItem",
        "Query",
        "Scan",
        "UpdateItem",
    }
)


class DamagedAnswerError(HTTPClientError):
    """An answer of HTTP 200 was cut off or changed on its way: what became of its request is unknown."""

    fmt = "The answer to {operation} was damaged on its way: {error}"


class UnknownBotocore(Exception):
    """This release of botocore works in another way than the ones that this module knows."""


class _Named(Protocol):
    """A model of an operation, or of the shape of its answer."""

    @property
    def name(self) -> str: ...


class _Serializer(Protocol):
    def serialize_to_request(self, parameters: Mapping[str, object], operation_model: _Named) -> dict[str, Any]: ...


class _Parser(Protocol):
    def parse(self, response: Mapping[str, Any], shape: _Named | None) -> dict[str, Any]: ...


class _ParserFactory(Protocol):
    def create_parser(self, protocol_name: str) -> _Parser: ...


def _base64(binary: Any) -> str:
    """A binary value as JSON holds it; what ``json`` cannot encode otherwise."""
    return b64encode(bytes(binary)).decode()


class _JsonSerializer:
    def __init__(self, botocores: _Serializer) -> None:
        self._botocores = botocores
        self._empty: dict[str, dict[str, Any]] = {}
        """A request without parameters, by operation."""

    def serialize_to_request(self, parameters: Mapping[str, object], operation_model: _Named) -> dict[str, Any]:
        name = operation_model.name
        if name not in ITEM_OPERATIONS:
            return self._botocores.serialize_to_request(parameters, operation_model)
        if name not in self._empty:
            self._empty[name] = self._botocores.serialize_to_request({}, operation_model)
        empty = self._empty[name]
        body = json.dumps(parameters, default=_base64, check_circular=False).encode()
        return {**empty, "headers": dict(empty["headers"]), "body": body}


class _JsonParser:
    def __init__(self, botocores: _Parser) -> None:
        self._botocores = botocores

    def parse(self, response: Mapping[str, Any], shape: _Named | None) -> dict[str, Any]:
        if response["status_code"] != 200 or response["context"]["operation_name"] not in ITEM_OPERATIONS:
            return self._botocores.parse(response, shape)
        try:
            content = json.loads(response["body"])
        except ValueError:
            content = None  # as botocore does; the client refuses it after the last retry
        metadata = self._botocores.parse({**response, "body": b"{}"}, shape)
        return {**content, **metadata} if isinstance(content, dict) else metadata


class _JsonParserFactory:
    def __init__(self, botocores: _ParserFactory) -> None:
        self._botocores = botocores

    def create_parser(self, protocol_name: str) -> _JsonParser:
        return _JsonParser(self._botocores.create_parser(protocol_name))


def refuse_damaged_answers(client: "DynamoDBClient") -> None:
    """Let ``client`` raise where botocore would believe an answer that is damaged.

    It takes one that is cut off for an empty one, and after its last try it believes one that its checksum refutes.
    """
    client.meta.events.register("after-call.dynamodb", _refuse_damaged)


def _refuse_damaged(http_response: Any, parsed: Mapping[str, object], model: Any, **_: object) -> None:
    if http_response.status_code >= 300:
        return
    content = http_response.content
    checksum = http_response.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(content)):
        raise DamagedAnswerError(operation=model.name, error="its checksum is another one")
    if len(parsed) > 1:
        return  # beside its metadata it has something that was read of whole JSON
    try:
        said = json.loads(content)
    except ValueError as error:
        raise DamagedAnswerError(operation=model.name, error=error) from None
    if not isinstance(said, dict):
        raise DamagedAnswerError(operation=model.name, error="it is no object")


def speak_json(client: "DynamoDBClient", understudy: "DynamoDBClient") -> None:
    """Let ``client`` make and read the requests on items as JSON.

    Args:
        client: left as it is where an exception is raised, whichever it is.
        understudy: a client for nothing else, with which it is tried first.

    Raises:
        UnknownBotocore: where a request or an answer would not be what botocore makes of it.
    """
    expected = _rehearsal(understudy)
    _replace_parts(understudy)
    if _rehearsal(understudy) != expected:
        raise UnknownBotocore("a request or an answer is not what botocore makes of it")
    _replace_parts(client)


def _replace_parts(client: Any) -> None:
    endpoint = client._endpoint  # noqa: SLF001  # this is what the module is for
    serializer, parsers = client._serializer, endpoint._response_parser_factory  # noqa: SLF001
    client._serializer = _JsonSerializer(serializer)  # noqa: SLF001
    endpoint._response_parser_factory = _JsonParserFactory(parsers)  # noqa: SLF001


_EACH_TIME_ANOTHER: Final = ("Authorization", "X-Amz-Date", "User-Agent", "amz-sdk-invocation-id")
_REQUEST: Final = {
    "Statements": [
        {
            "Statement": 'SELECT * FROM "é"',
            "Parameters": [{"S": "é"}, {"N": "1"}, {"B": b"\xff"}, {"M": {"a": {"L": [{"BOOL": True}]}}}],
        }
    ],
    "ReturnConsumedCapacity": "TOTAL",
}
_ANSWER: Final = {
    "Responses": [{"Error": {"Code": "DuplicateItem", "Item": {"a": {"M": {"é": {"NS": ["1"]}}}}}}, {"TableName": "é"}],
    "ConsumedCapacity": [{"TableName": "é", "CapacityUnits": 1.5}],
}


def _rehearsal(client: "DynamoDBClient") -> object:
    """What ``client`` would send for a request, and what it makes of an answer; nothing leaves it."""
    sent: list[object] = []

    def answer(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        headers = {name: value for name, value in request.headers.items() if name not in _EACH_TIME_ANOTHER}
        sent.append((request.method, request.url, headers, request.body))
        raw = SimpleNamespace(stream=lambda: iter([json.dumps(_ANSWER).encode()]))
        return AWSResponse(request.url, 200, cast("Any", HeadersDict({"x-amzn-RequestId": "1"})), cast("Any", raw))

    client.meta.events.register_first("before-send.dynamodb", cast("Any", answer))
    try:
        return sent, client.batch_execute_statement(**cast("Any", _REQUEST))
    finally:
        client.meta.events.unregister("before-send.dynamodb", cast("Any", answer))
