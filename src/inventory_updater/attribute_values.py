"""DynamoDB's attribute values as Python values and back.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from inventory_updater.stock import Attributes

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef


class _ExactSerializer(TypeSerializer):
    """boto3's serializer for every number that DynamoDB holds: boto3's own refuses some close to 1E-130."""

    def _serialize_n(self, value: Decimal | int) -> str:
        return str(value)


class _ExactDeserializer(TypeDeserializer):
    """boto3's deserializer for every number that DynamoDB holds: one odd number must not spoil a whole page."""

    def _deserialize_n(self, value: str) -> Decimal:
        return Decimal(value)


_serializer = _ExactSerializer()
_deserializer = _ExactDeserializer()


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
