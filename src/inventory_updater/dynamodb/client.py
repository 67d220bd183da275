"""How the product talks to DynamoDB: botocore's client, with JSON in the place of its walk through the model of shapes.

botocore stays in charge of all the rest: credentials, endpoints, proxies, signatures, connections, retries and errors.
What an answer says is the same; only binary values stay base64 text (``attribute_values`` reads both).
"""

import json
import logging
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ConnectionError as ConnectingError
from botocore.exceptions import HTTPClientError

from inventory_updater.dynamodb.botocore_private import speak_json

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BROKEN_CONNECTIONS: Final = (ConnectingError, HTTPClientError)
"""Both stand for a connection that broke or never was: botocore has two families of them."""

_CONNECT_SECONDS: Final = 3
_READ_SECONDS: Final = 10

_USER_AGENT: Final = f"inventory-updater Botocore/{botocore.__version__}"
"""A fixed one: botocore would put its own together anew for every request."""

_log = logging.getLogger(__name__)


class DamagedAnswerError(HTTPClientError):
    """An answer of HTTP 200 was cut off or changed on its way: what became of its request is unknown."""

    fmt = "The answer to {operation} was damaged on its way: {error}"


def dynamodb_client(
    session: boto3.Session, write_concurrency: int, endpoint_url: str | None = None
) -> "DynamoDBClient":
    """A client that makes and reads the requests on items as JSON: a quarter of the CPU that ``botocore_client`` takes.

    It rests on what botocore does not document, so it is tried first: where that fails it is ``botocore_client``.
    """
    client = botocore_client(session, write_concurrency, endpoint_url)
    try:
        speak_json(client)
    except Exception as error:  # noqa: BLE001  # whatever a later botocore does, the work has to go on
        _log.warning(
            "DynamoDB is asked by botocore's own serializer and parser, which takes more CPU",
            extra={"botocore": botocore.__version__, "error": repr(error)},
        )
        return botocore_client(session, write_concurrency, endpoint_url)
    return client


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
        user_agent=_USER_AGENT,
    )
    client = session.client("dynamodb", endpoint_url=endpoint_url, config=config)
    client.meta.events.register("after-call.dynamodb", _refuse_damaged)
    return client


def _refuse_damaged(http_response: Any, parsed: Mapping[str, object], model: Any, **_: object) -> None:
    """Raise where botocore would believe an answer that is damaged.

    It takes one that is cut off for an empty one, and after its last try it believes one that its checksum refutes.

    Raises:
        DamagedAnswerError: where an answer of HTTP 200 is not what was sent.
    """
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
