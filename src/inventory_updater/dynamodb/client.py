"""How the product talks to DynamoDB: botocore's client, and a direct way around most of it to read and write items.

Most of what a request costs in botocore is the walk through DynamoDB's model of shapes, on the way out and on the way
in; JSON alone says the same. The direct way encodes, signs, sends and decodes by itself and leaves to botocore what is
rare: the rules of retrying, and the errors::

    request ──▶ JSON ──▶ signature ──▶ connection ──▶ answer ──▶ CRC-32 ──▶ JSON ──▶ answer as botocore gives it
                  ▲                                     │           │
                  └──── botocore's rules of retrying ◀──┴───────────┘ broken, refused or damaged

An answer differs from botocore's only in its binary values, which stay base64 text (``attribute_values`` reads both).
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import json
import time
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.config import Config
from botocore.exceptions import ConnectionError as ConnectingError
from botocore.exceptions import HTTPClientError, NoCredentialsError
from botocore.hooks import first_non_none_response
from botocore.httpsession import ProxyConfiguration, get_cert_path
from botocore.model import OperationModel
from botocore.parsers import create_parser
from botocore.utils import get_environ_proxies

from inventory_updater.dynamodb.connections import Answer, Connections
from inventory_updater.dynamodb.signature import Credentials, Destination, signed_headers
from inventory_updater.dynamodb.values import encode_binary

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BROKEN_CONNECTIONS: Final = (ConnectingError, HTTPClientError)
"""Both stand for a connection that broke or never was: botocore has two families of them."""

_IS_WHOLE: Final = "is_whole"
"""In the context of a call: its answer has been looked at already."""

_API: Final = "DynamoDB_20120810"
_DIRECT: Final = {
    "batch_execute_statement": "BatchExecuteStatement",
    "batch_get_item": "BatchGetItem",
    "batch_write_item": "BatchWriteItem",
    "get_item": "GetItem",
    "put_item": "PutItem",
    "query": "Query",
    "scan": "Scan",
    "update_item": "UpdateItem",
}
"""What is said of items alone: there JSON and botocore differ in nothing but binary values."""
_CONNECT_SECONDS: Final = 3
_READ_SECONDS: Final = 10


class DamagedAnswerError(HTTPClientError):
    """An answer of HTTP 200 was cut off or changed on its way: what became of its request is unknown."""

    fmt = "The answer to {operation} was damaged on its way: {error}"


def dynamodb_client(
    session: boto3.Session, write_concurrency: int, endpoint_url: str | None = None
) -> "DynamoDBClient":
    """A client that takes the direct way to items, unless that leads through a proxy or below a path."""
    client = botocore_client(session, write_concurrency, endpoint_url)
    url = client.meta.endpoint_url
    if ProxyConfiguration(get_environ_proxies(url)).proxy_url_for(url) or urlsplit(url).path not in ("", "/"):
        return client
    return cast("DynamoDBClient", DirectClient(client, session, write_concurrency + 2))


def botocore_client(
    session: boto3.Session, write_concurrency: int, endpoint_url: str | None = None
) -> "DynamoDBClient":
    """A client of botocore's alone: bounded retries, a read time-out far below a call's time, enough connections.

    Parameter validation is off because it is half of what a batch costs in CPU; the parameters are made by code.
    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 4},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        max_pool_connections=write_concurrency + 2,
        parameter_validation=False,
    )
    client = session.client("dynamodb", endpoint_url=endpoint_url, config=config)
    client.meta.events.register("after-call.dynamodb", _refuse_damaged)
    return client


def _refuse_damaged(
    http_response: AWSResponse | Answer, model: OperationModel, context: Mapping[str, object], **_: object
) -> None:
    """Let botocore's client, too, raise where an answer is damaged.

    By itself it takes one that is cut off for an empty one, and after its last try it believes one that its checksum
    refutes.

    Raises:
        DamagedAnswerError: where an answer of HTTP 200 is not what was sent.
    """
    if http_response.status_code < 300 and _IS_WHOLE not in context:
        _content(model.name, http_response)


def _content(operation: str, response: AWSResponse | Answer) -> dict[str, Any]:
    """What an answer of HTTP 200 says.

    Raises:
        DamagedAnswerError: where it is not what was sent.
    """
    checksum = response.headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(response.content)):
        raise DamagedAnswerError(operation=operation, error="its checksum is another one")
    try:
        said = json.loads(response.content)
    except ValueError as error:
        raise DamagedAnswerError(operation=operation, error=error) from None
    if not isinstance(said, dict):
        raise DamagedAnswerError(operation=operation, error="it is no object")
    return said


class DirectClient:
    """A client that reads and writes items directly and does everything else as botocore does."""

    def __init__(self, client: "DynamoDBClient", session: boto3.Session, connections: int) -> None:
        self._client = client
        self._url = f"{client.meta.endpoint_url.rstrip('/')}/"
        self._destination = Destination(urlsplit(self._url).netloc, client.meta.region_name, "dynamodb")
        # botocore ships no types for these; refreshed keys come out of the same object.
        self._credentials: Any = session.get_credentials()
        self._events = client.meta.events
        self._connections = Connections(
            self._url,
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=_READ_SECONDS,
            ca_bundle=get_cert_path(session._session.get_config_variable("ca_bundle") or True),  # noqa: SLF001
            keep=connections,
        )
        self._exceptions: Any = client.exceptions
        self._error_parser: Any = create_parser("json")

    def __getattr__(self, name: str) -> Any:  # whatever a client has
        operation = _DIRECT.get(name)
        return getattr(self._client, name) if operation is None else partial(self._ask, operation)

    def close(self) -> None:
        self._connections.close()
        self._client.close()

    def _ask(self, operation: str, **request: object) -> dict[str, Any]:
        return self.call(operation, json.dumps(request, default=encode_binary))

    def call(self, operation: str, request: str) -> dict[str, Any]:
        """The answer to a request in JSON, sent again as often and as late as botocore's client would.

        Raises:
            botocore.exceptions.ClientError: where AWS refuses the request.
            botocore.exceptions.ConnectionError: where the connection broke or never was.
            botocore.exceptions.HTTPClientError: likewise, and where the answer was damaged.
        """
        content = request.encode()
        context: dict[str, object] = {}
        attempts = 0
        while True:
            attempts += 1
            response: Answer | None = None
            answer: dict[str, Any] = {}
            failure: Exception | None = None
            try:
                response = self._send(operation, content)
                answer = self._read(operation, response)
            except BROKEN_CONNECTIONS as error:
                failure = error
            else:
                if response.status_code < 300:
                    self._succeeded(operation, response, answer, context)
                    answer["ResponseMetadata"]["RetryAttempts"] = attempts - 1
                    return answer
            delay = self._retry_delay(operation, response, answer, failure, attempts, context)
            if delay is None:
                if failure is not None:
                    raise failure
                answer["ResponseMetadata"]["RetryAttempts"] = attempts - 1
                raise self._exceptions.from_code(_code(answer))(answer, operation)
            time.sleep(delay)

    def _send(self, operation: str, content: bytes) -> Answer:
        if self._credentials is None:
            raise NoCredentialsError
        credentials = self._credentials.get_frozen_credentials()
        headers = signed_headers(
            self._destination,
            f"{_API}.{operation}",
            content,
            Credentials(credentials.access_key, credentials.secret_key, credentials.token),
            datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"),
        )
        # Whoever watches or alters the requests of a client does so by this event.
        request: Any = AWSPreparedRequest("POST", self._url, cast("Any", headers), content, False)
        answers = self._events.emit(f"before-send.dynamodb.{operation}", request=request)
        response = first_non_none_response(answers)
        return response if response is not None else self._connections.exchange(request.headers, request.body)

    def _read(self, operation: str, response: Answer) -> dict[str, Any]:
        """The answer in ``response``, as botocore gives it."""
        if response.status_code >= 300:
            return self._read_refusal(response)
        answer = _content(operation, response)
        answer["ResponseMetadata"] = {
            "RequestId": response.headers.get("x-amzn-requestid", ""),
            "HTTPStatusCode": response.status_code,
        }
        return answer

    def _read_refusal(self, response: Answer) -> dict[str, Any]:
        parts = {
            "status_code": response.status_code,
            "headers": HeadersDict(response.headers),
            "body": response.content,
        }
        answer: dict[str, Any] = self._error_parser.parse(parts, None)
        model: Any = self._client.meta.service_model
        shape = model.shape_for_error_code(_code(answer))
        if shape is not None:
            answer |= self._error_parser.parse(parts, shape)
        return answer

    # What botocore's client tells its parts

    def _model(self, operation: str) -> Any:
        return self._client.meta.service_model.operation_model(operation)

    def _succeeded(self, operation: str, response: Answer, answer: dict[str, Any], context: dict[str, object]) -> None:
        """Give back what retries have taken from botocore's quota of them."""
        self._events.emit(
            f"after-call.dynamodb.{operation}",
            http_response=response,
            parsed=answer,
            model=self._model(operation),
            context=context | {_IS_WHOLE: True},
        )

    def _retry_delay(
        self,
        operation: str,
        response: Answer | None,
        answer: dict[str, Any],
        failure: Exception | None,
        attempts: int,
        context: dict[str, object],
    ) -> float | None:
        """How many seconds to wait before the next attempt; ``None`` where there shall be none."""
        answers = self._events.emit(
            f"needs-retry.dynamodb.{operation}",
            response=None if failure is not None else (response, answer),
            endpoint=None,
            operation=self._model(operation),
            attempts=attempts,
            caught_exception=failure,
            request_dict={"context": context},
        )
        return cast("float | None", first_non_none_response(answers))


def _code(refusal: Mapping[str, Any]) -> str:
    """The code of an error; empty where the answer has none, as a redirect."""
    return str(refusal.get("Error", {}).get("Code", ""))
