"""Values on their way to DynamoDB and back."""

import json
from base64 import b64encode
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given

from inventory_updater.dynamodb.values import (
    encode_binary,
    from_attribute_values,
    to_attribute_value,
    to_attribute_values,
    to_json,
)
from tests.strategies import dynamodb_values


class Colour(StrEnum):
    RED = "red"


def as_sent(value: object) -> Any:
    """What AWS reads where ``value`` takes the long way: botocore's serializer, with binary as base64 text."""
    return json.loads(json.dumps(to_attribute_value(value), default=lambda binary: b64encode(bytes(binary)).decode()))


def in_any_order(sent: Any) -> Any:
    """What was sent, with the elements of sets, which have no order, in one."""
    match sent:
        case {"SS": elements} | {"NS": elements} | {"BS": elements}:
            return {next(iter(sent)): sorted(elements)}
        case dict():
            return {name: in_any_order(element) for name, element in sent.items()}
        case list():
            return [in_any_order(element) for element in sent]
    return sent


@given(dynamodb_values)
def test_whatever_dynamodb_can_hold_comes_back_as_it_went(value: object) -> None:
    assert from_attribute_values(to_attribute_values({"attribute": value})) == {"attribute": value}


@pytest.mark.parametrize(
    "number",
    ["1.2345678901234567890123456789012345678E-130", "-9.9999999999999999999999999999999999999E+125", "1E-130", "0"],
)
def test_a_number_at_the_edge_of_dynamodbs_range_is_read(number: str) -> None:
    assert from_attribute_values({"on_hand": {"N": number}}) == {"on_hand": Decimal(number)}


def test_whole_numbers_and_truth_values_keep_apart() -> None:
    assert to_attribute_value(1) == {"N": "1"}
    assert to_attribute_value(True) == {"BOOL": True}


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="Float types are not supported"):
        to_attribute_value(0.1)


# As JSON


@given(dynamodb_values)
def test_json_says_what_the_value_says_that_dynamodb_takes(value: object) -> None:
    assert in_any_order(json.loads(to_json(value))) == in_any_order(as_sent(value))


@given(dynamodb_values)
def test_json_holds_nothing_beyond_ascii(value: object) -> None:
    # So it is the same in every encoding, and no half of a surrogate pair breaks it.
    assert to_json(value).isascii()


@given(dynamodb_values)
def test_what_went_as_json_comes_back_as_it_went(value: object) -> None:
    assert from_attribute_values({"attribute": json.loads(to_json(value))}) == {"attribute": value}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, {"N": "1"}),
        (True, {"BOOL": True}),
        (None, {"NULL": True}),
        (Decimal("1E+3"), {"N": "1E+3"}),
        (Decimal("1E-130"), {"N": "1E-130"}),
        (Decimal("0.10"), {"N": "0.10"}),
        ({"a": [1, {"b": Decimal(2)}]}, {"M": {"a": {"L": [{"N": "1"}, {"M": {"b": {"N": "2"}}}]}}}),
        ({}, {"M": {}}),
        ([], {"L": []}),
        ('quote " backslash \\ newline \n', {"S": 'quote " backslash \\ newline \n'}),
        ("\U0001f6d2 \u2028 \x00", {"S": "\U0001f6d2 \u2028 \x00"}),
        ({'"': '"'}, {"M": {'"': {"S": '"'}}}),
        (b"\x00\xff", {"B": "AP8="}),
        (bytearray(b"\x00\xff"), {"B": "AP8="}),
        (Binary(b"\x00\xff"), {"B": "AP8="}),
        ({Binary(b"\x00\xff")}, {"BS": ["AP8="]}),
        ({"a": [Binary(b"\x00\xff")]}, {"M": {"a": {"L": [{"B": "AP8="}]}}}),
        (Colour.RED, {"S": "red"}),
        ({Colour.RED: Colour.RED}, {"M": {"red": {"S": "red"}}}),
        ({Colour.RED, "blue"}, {"SS": ["blue", "red"]}),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_value_as_json(value: object, expected: object) -> None:
    assert in_any_order(json.loads(to_json(value))) == expected
    assert in_any_order(as_sent(value)) == expected


@pytest.mark.parametrize(
    "value", [0.1, {"a": 0.1}, [0.1], {0.1}, object()], ids=["number", "in a map", "in a list", "in a set", "object"]
)
def test_what_dynamodb_has_no_type_for_is_refused_in_json_too(value: object) -> None:
    with pytest.raises(TypeError):
        to_attribute_value(value)
    with pytest.raises(TypeError):
        to_json(value)


def test_binary_values_of_a_request_are_base64_text() -> None:
    request = {"Item": to_attribute_values({"one": Binary(b"\x00\xff"), "many": {b"\x01"}})}

    assert json.loads(json.dumps(request, default=encode_binary)) == {
        "Item": {"one": {"B": "AP8="}, "many": {"BS": ["AQ=="]}}
    }


# Answers of both transports


@pytest.mark.parametrize("content", [b"\x00\xff", "AP8="], ids=["botocore", "direct"])
def test_binary_values_are_read_from_bytes_and_from_base64_text(content: Any) -> None:
    found = from_attribute_values(
        {
            "one": {"B": content},
            "many": {"BS": [content]},
            "deep": {"M": {"list": {"L": [{"B": content}, {"S": "AP8="}]}}},
            "text": {"S": "AP8="},
        }
    )

    assert found == {
        "one": Binary(b"\x00\xff"),
        "many": {Binary(b"\x00\xff")},
        "deep": {"list": [Binary(b"\x00\xff"), "AP8="]},
        "text": "AP8=",
    }
