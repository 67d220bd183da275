"""What a table is defined as: its keys, their types, its indexes.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateTable.html
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.simulation.rejections import invalid
from tests.simulation.values import InvalidValue, Item, Value, clean_all, sortable

KeyValues = tuple[Any, ...]
"""The values of a key, as they are sorted."""

_LARGEST: Final = {"HASH": 2048, "RANGE": 1024}
"""Bytes. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys"""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key of a table or of an index: the name that spreads the items, and the one that sorts them."""

    names: tuple[str, ...]

    @classmethod
    def from_schema(cls, key_schema: Any) -> "Keys":
        by_type = {each["KeyType"]: each["AttributeName"] for each in key_schema}
        return cls(tuple(by_type[kind] for kind in ("HASH", "RANGE") if kind in by_type))

    @property
    def partition(self) -> str:
        return self.names[0]

    @property
    def sort(self) -> str | None:
        return self.names[1] if len(self.names) > 1 else None

    def values_of(self, item: Mapping[str, Value]) -> KeyValues:
        # Nearly every key is of texts, which are sorted by themselves.
        return tuple([value["S"] if "S" in (value := item[name]) else sortable(value) for name in self.names])


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index; sparse, since an item without its key is not in it.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html
    """

    name: str
    keys: Keys
    key_names: frozenset[str]
    projected: frozenset[str] | None
    """The attributes that it holds; ``None`` for all."""

    def entry(self, item: Item | None) -> Item | None:
        """What the index holds of an item."""
        if item is None or not item.keys() >= self.key_names:
            return None
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass(frozen=True, slots=True)
class Schema:
    """A table's definition."""

    table: str
    keys: Keys
    types: Mapping[str, str]
    indexes: Mapping[str, Index]

    @classmethod
    def from_definition(cls, definition: Mapping[str, Any]) -> "Schema":
        keys = Keys.from_schema(definition["KeySchema"])
        indexes = [cls._index(each, keys) for each in definition.get("GlobalSecondaryIndexes", ())]
        return cls(
            definition["TableName"],
            keys,
            {each["AttributeName"]: each["AttributeType"] for each in definition["AttributeDefinitions"]},
            {index.name: index for index in indexes},
        )

    @staticmethod
    def _index(definition: Mapping[str, Any], table_keys: Keys) -> Index:
        keys, projection = Keys.from_schema(definition["KeySchema"]), definition["Projection"]
        projected = frozenset((*table_keys.names, *keys.names, *projection.get("NonKeyAttributes", ())))
        holds_all = projection["ProjectionType"] == "ALL"
        return Index(definition["IndexName"], keys, frozenset(keys.names), None if holds_all else projected)

    def key_of(self, given: Mapping[str, Any], keys: Keys | None = None) -> Item:
        """A key that a request names: exactly the key's attributes, each of its type.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html
        """
        wanted = {*self.keys.names, *keys.names} if keys else set(self.keys.names)
        if given.keys() != wanted:
            raise invalid("The provided key element does not match the schema")
        key = clean_item(given)
        self.check_key(key, "The provided key element does not match the schema")
        return key

    def check_key(self, item: Mapping[str, Value], mismatch: str = "One or more parameter values were invalid") -> None:
        """Refuse an item without its key, or with one of another type, empty or too large.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.CoreComponents.html#HowItWorks.CoreComponents.PrimaryKey
        """
        for role, name in zip(_LARGEST, self.keys.names, strict=False):
            value = item.get(name)
            if value is None or self.types[name] not in value:
                raise invalid(f"{mismatch}: {name}")
            _check_key_value(role, name, value)

    def check_index_keys(self, item: Mapping[str, Value]) -> None:
        """Refuse an item that an index could not hold under its key; one without that key is fine.

        https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.DataTypes
        """
        for index in self.indexes.values():
            for role, name in zip(_LARGEST, index.keys.names, strict=False):
                if name not in item:
                    continue
                if self.types[name] not in item[name]:
                    raise invalid(f"Type mismatch for Index Key {name}, IndexName: {index.name}")
                _check_key_value(role, name, item[name])


def _check_key_value(role: str, name: str, value: Value) -> None:
    if "N" in value:
        return
    text = value["S"] if "S" in value else value["B"]
    if not text:
        raise invalid(f"The AttributeValue for a key attribute cannot contain an empty value. Key: {name}")
    # Most are so short that they need not be encoded to see it: a character has at most four bytes.
    if 4 * len(text) > _LARGEST[role] and len(text.encode() if "S" in value else text) > _LARGEST[role]:
        raise invalid(f"Size of {name} has exceeded the maximum size limit of {_LARGEST[role]} bytes")


def clean_item(given: Mapping[str, Any]) -> Item:
    """An item with its values in their one form.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html
    """
    try:
        return clean_all(given)
    except InvalidValue as error:
        raise invalid(f"One or more parameter values were invalid: {error}") from None
