"""Where botocore is another than this package knows, its plain client does the work and one log line says so."""

import json
import logging
from collections.abc import Callable
from typing import Any, Final

import boto3
import botocore
import pytest
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.parsers import JSONParser
from botocore.serialize import JSONSerializer

from inventory_updater.dynamodb.client import botocore_client, dynamodb_client
from tests.fakes.endpoint import answer, endpoint

SESSION: Final = boto3.Session(aws_access_key_id="AKID", aws_secret_access_key="secret", region_name="eu-west-1")


def binary_value(make: Callable[..., Any], session: Any = SESSION) -> object:
    """What a client, made like that, makes of a binary value; the endpoint must not be asked for anything else."""
    with endpoint([answer({"Item": {"photo": {"B": "AP8="}}})]) as server:
        item = make(session, 4, server.url).get_item(TableName="t", Key={"sku": {"S": "mug"}})["Item"]
        assert [json.loads(request.body) for request in server.requests] == [
            {"TableName": "t", "Key": {"sku": {"S": "mug"}}}
        ]
    return item["photo"]["B"]


def assert_one_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    (line,) = caplog.records
    assert (line.levelno, line.name) == (logging.WARNING, "inventory_updater.dynamodb.client")
    assert vars(line)["botocore"] == botocore.__version__
    assert vars(line)["error"]


def test_items_are_read_as_json_and_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    assert (binary_value(botocore_client), binary_value(dynamodb_client)) == (b"\x00\xff", "AP8=")
    assert caplog.records == []


@pytest.mark.parametrize("path", ["_serializer", "_endpoint", "_endpoint._response_parser_factory"])
def test_where_botocore_has_another_name_for_a_part_the_plain_client_is_used(
    caplog: pytest.LogCaptureFixture, path: str
) -> None:
    class Session:
        """One of which the second client, with which it is tried, lacks the part."""

        lacking = iter(["", path])

        def client(self, *arguments: Any, **settings: Any) -> Any:
            made: Any = SESSION.client(*arguments, **settings)
            owner, _, part = next(self.lacking).rpartition(".")
            if part:
                delattr(getattr(made, owner) if owner else made, part)
            return made

    assert binary_value(dynamodb_client, Session()) == b"\x00\xff"
    assert_one_line_says_so(caplog)


def sorts_members(original: Any, self: Any, parameters: Any, model: Any) -> Any:
    request = original(self, parameters, model)
    return request | {"body": json.dumps(json.loads(request["body"]), sort_keys=True).encode()}


def adds_a_header(original: Any, self: Any, parameters: Any, model: Any) -> Any:
    request = original(self, parameters, model)
    return request | {"headers": request["headers"] | {"X-Members": str(len(parameters))}}


def refuses_no_parameters(original: Any, self: Any, parameters: Any, model: Any) -> Any:
    assert parameters
    return original(self, parameters, model)


def adds_a_member(original: Any, self: Any, response: Any, shape: Any) -> Any:
    return original(self, response, shape) | {"Length": len(response["body"])}


def knows_its_own_serializer_alone(original: Any, self: Any, *arguments: Any, **named: Any) -> Any:
    assert isinstance(self._serializer, JSONSerializer)
    return original(self, *arguments, **named)


def asks_its_factory_for_more(original: Any, self: Any, *arguments: Any) -> Any:
    self._response_parser_factory.set_parser_defaults()
    return original(self, *arguments)


@pytest.mark.parametrize(
    ("owner", "name", "works_otherwise"),
    [
        (JSONSerializer, "serialize_to_request", sorts_members),
        (JSONSerializer, "serialize_to_request", adds_a_header),
        (JSONSerializer, "serialize_to_request", refuses_no_parameters),
        (JSONParser, "parse", adds_a_member),
        (BaseClient, "_convert_to_request_dict", knows_its_own_serializer_alone),
        (Endpoint, "_do_get_response", asks_its_factory_for_more),
    ],
)
def test_where_botocore_works_otherwise_the_plain_client_is_used(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, works_otherwise: Any
) -> None:
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *arguments, **named: works_otherwise(original, *arguments, **named))

    assert binary_value(dynamodb_client) == b"\x00\xff"
    assert_one_line_says_so(caplog)
