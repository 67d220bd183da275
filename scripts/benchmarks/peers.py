"""How others settle changes that wait in DynamoDB, each written as its good users write it.

A peer is made once, with its clients, and then called with an order: it finds what is due in the index, reads each item
and its record, books the change, and writes both, each on the condition that nobody else has written it. It knows
adjustments and nothing else: no windows, no counts, no rejections.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config

from benchmarks.shelves import AS_OF, SHARDS, changes_table_of
from inventory_updater.dynamodb.pacing import batched

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TRANSACTION_ITEMS: Final = 100
"""The most that AWS takes: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

_TRANSACTIONS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Order:
    """The inventory table to work on, and the scope of the product's job."""

    inventory: str
    scope: str = "due"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did; read units only where the client asked for them."""

    updated: int
    read_units: float | None = None


Peer = Callable[[Order], Outcome]

LOOP: Final = "boto3 resource loop"
PRODUCT: Final = "inventory-updater"
PRODUCT_ON_BOTOCORE: Final = "inventory-updater (botocore)"
TRANSACTIONS: Final = f"TransactWriteItems of {TRANSACTION_ITEMS}"

_MADE_BY: Final[Mapping[str, str]] = {
    PRODUCT: "benchmarks.product:product",
    PRODUCT_ON_BOTOCORE: "benchmarks.product:product_on_botocore",
    LOOP: "benchmarks.peers:resource_loop",
    TRANSACTIONS: "benchmarks.peers:transactions",
}

SCHEDULING: Final = "changes.py schedule"
DELIVERING: Final = "intake bucket"
LOADING: Final = "stock.py load"
_DOORS: Final[Mapping[str, str]] = {
    SCHEDULING: "benchmarks.doors:scheduling",
    DELIVERING: "benchmarks.doors:delivering",
    LOADING: "benchmarks.doors:loading",
}

PEERS: Final = tuple(_MADE_BY)
"""The names of all that settle changes, ours first."""

LANES: Final[Mapping[str, int]] = {f"{lanes} shards at once": lanes for lanes in (1, 4, 8, 16)}
"""The product again, by how many shards its worker works on at once."""


def make_peer(name: str, orders: Sequence[Order]) -> Peer:
    """The peer of that name, ready for ``orders``; only it is imported: nobody pays for another's libraries."""
    if name in LANES:
        lanes: Peer = import_module("benchmarks.product").product(orders, LANES[name])
        return lanes
    module, _, function = {**_MADE_BY, **_DOORS}[name].partition(":")
    peer: Peer = getattr(import_module(module), function)(orders)
    return peer


def _due(shard: int) -> dict[str, Any]:
    """What `Query` takes to find what is due in a shard."""
    return {"IndexName": "due", "KeyConditionExpression": "due_shard = :shard AND due_at <= :as_of"} | {
        "ExpressionAttributeValues": {":shard": f"{shard:02}", ":as_of": AS_OF}
    }


def _booked(item: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """What `UpdateItem` takes to book an adjustment."""
    on_hand = item["on_hand"] + record["value"]
    available = on_hand - item["reserved"] - item["safety_stock"]
    status = "OUT_OF_STOCK" if available <= 0 else "LOW_STOCK" if available <= item["reorder_point"] else "IN_STOCK"
    return {
        "Key": {"sku": item["sku"], "location_id": item["location_id"]},
        "UpdateExpression": "SET on_hand = :on_hand, available = :available, stock_status = :status, "
        "stock_value = :stock_value, version = :next, updated_at = :now",
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {
            ":on_hand": on_hand,
            ":available": available,
            ":status": status,
            ":stock_value": on_hand * item["unit_price"],
            ":next": item["version"] + 1,
            ":now": AS_OF,
            ":version": item["version"],
        },
    }


_MARKED: Final[Mapping[str, Any]] = {
    "UpdateExpression": "SET #status = :applied, settled_at = :now REMOVE due_shard, due_at",
    "ConditionExpression": "#status = :pending",
    "ExpressionAttributeNames": {"#status": "status"},
    "ExpressionAttributeValues": {":applied": "APPLIED", ":pending": "PENDING", ":now": AS_OF},
}
"""What `UpdateItem` takes, beside the key, to say that a change was applied."""


def resource_loop(_orders: Sequence[Order]) -> Peer:
    """The loop that everybody writes: `get_item` and `update_item` one by one."""
    resource = boto3.resource("dynamodb")

    def run(order: Order) -> Outcome:
        inventory, changes = resource.Table(order.inventory), resource.Table(changes_table_of(order.inventory))
        updated = 0
        for shard in range(SHARDS):
            for entry in _pages(changes.query, _due(shard)):
                key = {"item": entry["item"], "change_id": entry["change_id"]}
                record = changes.get_item(Key=key, ConsistentRead=True)["Item"]
                sku, location_id = record["sku"], record["location_id"]
                item = inventory.get_item(Key={"sku": sku, "location_id": location_id}, ConsistentRead=True)["Item"]
                inventory.update_item(**_booked(item, record))
                changes.update_item(Key=key, **_MARKED)
                updated += 1
        return Outcome(updated)

    return run


def _pages(query: Callable[..., Any], request: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
    while True:
        page = query(**request)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def transactions(_orders: Sequence[Order]) -> Peer:
    """The client of boto3, an item and its record in a transaction, and as many of them as AWS takes."""
    client: DynamoDBClient = boto3.client("dynamodb", config=Config(max_pool_connections=_TRANSACTIONS_AT_ONCE))
    serializer, deserializer = TypeSerializer(), TypeDeserializer()

    def serialized(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: serializer.serialize(value) for name, value in values.items()}

    def deserialized(values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: deserializer.deserialize(value) for name, value in values.items()}

    def update(table: str, request: Mapping[str, Any]) -> Any:
        values = {name: serialized(request[name]) for name in ("Key", "ExpressionAttributeValues")}
        return {"Update": {"TableName": table, **request, **values}}

    def run(order: Order) -> Outcome:
        inventory, changes = order.inventory, changes_table_of(order.inventory)

        def read(table: str, keys: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
            wanted: Any = {table: {"Keys": [serialized(key) for key in keys], "ConsistentRead": True}}
            return [deserialized(item) for item in client.batch_get_item(RequestItems=wanted)["Responses"][table]]

        def settle(entries: Sequence[Mapping[str, Any]]) -> int:
            records = read(changes, [{name: entry[name] for name in ("item", "change_id")} for entry in entries])
            named = [{name: record[name] for name in ("sku", "location_id")} for record in records]
            items = {item["sku"]: item for item in read(inventory, named)}
            writes = []
            for record in records:
                key = {"item": record["item"], "change_id": record["change_id"]}
                writes.append(update(inventory, _booked(items[record["sku"]], record)))
                writes.append(update(changes, {"Key": key, **_MARKED}))
            client.transact_write_items(TransactItems=writes)
            return len(records)

        def due() -> Iterator[Mapping[str, Any]]:
            for shard in range(SHARDS):
                request = _due(shard)
                values = serialized(request["ExpressionAttributeValues"])
                query: Any = {**request, "TableName": changes, "ExpressionAttributeValues": values}
                yield from map(deserialized, _pages(client.query, query))

        with ThreadPoolExecutor(_TRANSACTIONS_AT_ONCE) as executor:
            return Outcome(sum(executor.map(settle, batched(due(), TRANSACTION_ITEMS // 2))))

    return run
