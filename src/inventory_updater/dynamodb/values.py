"""DynamoDB's attribute values as Python values and back.

Texts, numbers and maps are nearly all that an item holds, and each of them comes by here twice: they are converted in
line, whatever else by boto3's serializers, which cost several times as much.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer

if TYPE_CHECKING:
    from types_boto3_dynamodb.type_defs import AttributeValueTypeDef


class _ExactSerializer(TypeSerializer):
    """boto3's serializer for every number that DynamoDB holds: boto3's own refuses some close to 1E-130."""

    def _serialize_n(self, value: Decimal | int) -> str:
        return str(value)


class _ExactDeserializer(TypeDeserializer):
    """boto3's deserializer for every number that DynamoDB holds: one odd number must not spoil a whole page.

    Binary values may be base64 text: so an answer's JSON has them, which botocore's parser decodes and ours does not.
    """

    def _deserialize_n(self, value: str) -> Decimal:
        return Decimal(value)

    def _deserialize_b(self, value: bytes | str) -> object:
        return Binary(b64decode(value) if isinstance(value, str) else value)


_serializer = _ExactSerializer()
_deserializer = _ExactDeserializer()


def to_attribute_value(value: object) -> "AttributeValueTypeDef":
    """``value`` as DynamoDB takes it.

    Raises:
        TypeError: where DynamoDB has no type for it.
    """
    kind = type(value)
    if kind is str:
        return {"S": value}  # type: ignore[typeddict-item]  # mypy does not narrow by ``kind``
    if kind is Decimal or kind is int:
        return {"N": str(value)}
    if kind is bool:
        return {"BOOL": value}  # type: ignore[typeddict-item]
    if kind is list:
        return {"L": [to_attribute_value(element) for element in value]}  # type: ignore[attr-defined]
    if kind is dict:
        return {"M": {name: to_attribute_value(element) for name, element in value.items()}}  # type: ignore[attr-defined]
    return _serializer.serialize(value)


def to_attribute_values(values: Mapping[str, object]) -> "dict[str, AttributeValueTypeDef]":
    return dict(zip(values, to_attribute_list(values.values()), strict=True))


def to_attribute_list(values: Iterable[object]) -> "list[AttributeValueTypeDef]":
    """``values`` as DynamoDB takes them, in their order."""
    return [
        {"S": value}
        if type(value) is str
        else {"N": str(value)}
        if type(value) is Decimal
        else to_attribute_value(value)
        for value in values
    ]


def from_attribute_values(item: "Mapping[str, AttributeValueTypeDef]") -> dict[str, object]:
    """An item as it came from DynamoDB, in Python values."""
    typed: Mapping[str, Any] = item  # of every value the only key is its type
    return {
        name: value["S"]
        if "S" in value
        else Decimal(value["N"])
        if "N" in value
        else from_attribute_values(value["M"])
        if "M" in value
        else _deserializer.deserialize(value)
        for name, value in typed.items()
    }
