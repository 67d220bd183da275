"""How the product talks to DynamoDB: botocore's client, with JSON in the place of its walk through the model of shapes.

botocore stays in charge of all the rest: credentials, endpoints, proxies, signatures, connections, retries and errors.
What an answer says is the same; only binary values stay base64 text (``dynamodb.values`` reads both).
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import boto3
import botocore
from botocore.config import Config
from botocore.exceptions import ConnectionError as ConnectingError
from botocore.exceptions import HTTPClientError

from inventory_updater.dynamodb.botocore_private import refuse_damaged_answers, speak_json

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

BROKEN_CONNECTIONS: Final = (ConnectingError, HTTPClientError)
"""Both stand for a connection that broke or never was: botocore has two families of them."""

TABLE_IS_GONE: Final = "gone-the-table-was-deleted"
"""The section of docs/operations.md."""

_CONNECT_SECONDS: Final = 3
_READ_SECONDS: Final = 10

_USER_AGENT: Final = f"inventory-updater Botocore/{botocore.__version__}"
"""A fixed one: botocore would put its own together anew for every request."""

_log = logging.getLogger(__name__)


def dynamodb_client(
    session: boto3.Session, write_concurrency: int, endpoint_url: str | None = None
) -> "DynamoDBClient":
    """A client that makes and reads the requests on items as JSON, for little more than half of the CPU.

    It rests on what botocore does not document, so it is tried first: where that fails it is ``botocore_client``.
    """
    client = botocore_client(session, write_concurrency, endpoint_url)
    try:
        # Nobody's keys are asked for, nor anybody's region: only botocore's ways are tried.
        understudy = session.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url="http://127.0.0.1:9",
            aws_access_key_id="none",
            aws_secret_access_key="none",
            config=Config(retries={"total_max_attempts": 1}, parameter_validation=False),
        )
        speak_json(client, understudy)
    except Exception as error:  # noqa: BLE001  # whatever a later botocore does, the work has to go on
        _log.warning(
            "DynamoDB is asked by botocore's own serializer and parser, which takes more CPU",
            extra={"botocore": botocore.__version__, "error": repr(error)},
        )
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
    refuse_damaged_answers(client)
    # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/events.html
    client.meta.events.register("provide-client-params.dynamodb", _remember_table)
    client.meta.events.register("after-call.dynamodb", _name_missing_table)
    return client


def _remember_table(params: Mapping[str, Any], context: dict[str, Any], **_of_the_event: object) -> None:
    context["table"] = params.get("TableName") or ", ".join(params.get("RequestItems", ()))


def _name_missing_table(parsed: dict[str, Any], context: Mapping[str, Any], **_of_the_event: object) -> None:
    """DynamoDB says only that a resource was not found: say which table, and where its way back is written."""
    error = parsed.get("Error", {})
    if error.get("Code") == "ResourceNotFoundException" and context.get("table"):
        where = f"docs/operations.md#{TABLE_IS_GONE}"
        error["Message"] = f"table {context['table']} is gone, see {where}: {error['Message']}"
