"""The inventory table: what the stock is. The only place that knows the table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from inventory_updater.dynamodb.pacing import PATIENCE_SECONDS, Limits, patiently
from inventory_updater.dynamodb.reading import query, read_keys
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_value, to_attribute_values
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.items import ItemKey, read_key

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_dynamodb.type_defs import QueryInputTypeDef, ScanInputTypeDef

Scope = Literal["due", "all"]
SCOPES: Final[tuple[str, ...]] = get_args(Scope)
Cursor = Mapping[str, object]
"""Where a scan goes on, in Python values; the key of the last item read."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a scan. ``cursor`` is ``None`` after the last one; a page may be empty and still have one."""

    items: tuple[Attributes, ...]
    cursor: Cursor | None
    read_units: float


class InventoryTable:
    """The inventory table of one environment."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client = client
        self.name = name

    def scan_page(self, *, segment: int, segments: int, limit: int, cursor: Cursor | None, limits: Limits) -> Page:
        """One page of a segment, as it is now.

        Args:
            segment: which slice, from 0; ``segments``: how many slices there are.
            limit: how many items the page reads at most.
            cursor: where to go on; ``None`` for the first page.
            limits: how long to go on while the table throttles.

        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html
        """
        request: ScanInputTypeDef = {
            "TableName": self.name,
            "Segment": segment,
            "TotalSegments": segments,
            "Limit": limit,
            "ConsistentRead": True,
            "ReturnConsumedCapacity": "TOTAL",
        }
        if cursor:
            request["ExclusiveStartKey"] = to_attribute_values(cursor)
        answer = patiently(lambda: self._client.scan(**request), limits)
        last_key = answer.get("LastEvaluatedKey")
        return Page(
            tuple(from_attribute_values(item) for item in answer["Items"]),
            from_attribute_values(last_key) if last_key else None,
            answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0),
        )

    def scan(self) -> Iterator[Attributes]:
        """Every item, page by page; each page may take a minute."""
        cursor: Cursor | None = None
        while True:
            limits = Limits.for_seconds(PATIENCE_SECONDS)
            page = self.scan_page(segment=0, segments=1, limit=1000, cursor=cursor, limits=limits)
            yield from page.items
            cursor = page.cursor
            if cursor is None:
                return

    def items_of_sku(self, sku: str) -> Iterator[Attributes]:
        """The items of one sku, at whatever location, as they are now."""
        request: QueryInputTypeDef = {
            "TableName": self.name,
            "KeyConditionExpression": "sku = :sku",
            "ExpressionAttributeValues": {":sku": to_attribute_value(sku)},
            "ConsistentRead": True,
        }
        return query(self._client, request)

    def read(self, key: ItemKey) -> Attributes | None:
        """One item as it is now; ``None`` where there is none."""
        answer = self._client.get_item(TableName=self.name, Key=to_attribute_values(key._asdict()), ConsistentRead=True)
        return from_attribute_values(answer["Item"]) if "Item" in answer else None

    def read_many(
        self,
        keys: Iterable[ItemKey],
        spend: Callable[[float], None] = lambda _read_units: None,
        *,
        is_consistent: bool = True,
    ) -> dict[ItemKey, Attributes]:
        """The items with these keys (at most 100); those that are not there are left out.

        A read that is not consistent costs half, and may not see what was written a moment ago.
        """
        # AWS refuses a request that names a key twice.
        named = [key._asdict() for key in dict.fromkeys(keys)]
        found = read_keys(self._client, self.name, named, is_consistent=is_consistent, spend=spend)
        return {read_key(item): item for item in found}
