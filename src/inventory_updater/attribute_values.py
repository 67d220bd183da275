"""DynamoDB's attribute values as Python values and back.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from inventory_updater.stock import Attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef

_serializer = TypeSerializer()
_deserializer = TypeDeserializer()


def to_attribute_value(value: object) -> "AttributeValueTypeDef":
    """``value`` as DynamoDB takes it.

    Raises:
        TypeError: where DynamoDB has no type for it.
    """
    return _serializer.serialize(value)


def to_attribute_values(values: Mapping[str, object]) -> "dict[str, AttributeValueTypeDef]":
    return {name: to_attribute_value(value) for name, value in values.items()}


def from_attribute_values(item: "Mapping[str, AttributeValueTypeDef]") -> Attributes:
    """An item as it came from DynamoDB, in Python values."""
    return {name: _deserializer.deserialize(value) for name, value in item.items()}
