"""Values on their way to DynamoDB and back."""

from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import Binary
from hypothesis import given

from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from tests.strategies import dynamodb_values


@given(dynamodb_values)
def test_whatever_dynamodb_can_hold_comes_back_as_it_went(value: object) -> None:
    assert from_attribute_values(to_attribute_values({"attribute": value})) == {"attribute": value}


def test_a_number_at_the_edge_of_dynamodbs_range_is_read() -> None:
    digits = "1.2345678901234567890123456789012345678"
    for number in (f"{digits}E-130", "-9.9999999999999999999999999999999999999E+125", "1E-130", "0"):
        assert from_attribute_values({"on_hand": {"N": number}}) == {"on_hand": Decimal(number)}


def test_whole_numbers_and_truth_values_keep_apart() -> None:
    assert to_attribute_value(1) == {"N": "1"}
    assert to_attribute_value(True) == {"BOOL": True}


def test_a_float_is_refused() -> None:
    with pytest.raises(TypeError, match="Float types are not supported"):
        to_attribute_value(0.1)


@pytest.mark.parametrize("content", [b"\x00\xff", "AP8="], ids=["botocore", "JSON"])
def test_binary_values_are_read_from_bytes_and_from_base64_text(content: Any) -> None:
    deep: Any = {"M": {"list": {"L": [{"B": content}, {"S": "AP8="}]}}}
    value = Binary(b"\x00\xff")

    assert from_attribute_values(
        {"one": {"B": content}, "many": {"BS": [content]}, "deep": deep, "text": {"S": "AP8="}}
    ) == {"one": value, "many": {value}, "deep": {"list": [value, "AP8="]}, "text": "AP8="}
