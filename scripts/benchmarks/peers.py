"""How others update stock in DynamoDB, each written as its good users write it.
from __future__ import annotations

A peer is made once, with its clients, and then called with an order: it scans the whole table, takes the product's
decision for each item, and makes the same conditional update in its own way.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config


from inventory_updater.dynamodb.pacing import batched


if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TRANSACTION_ITEMS: Final = 100
"""The most that AWS takes: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

_TRANSACTIONS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Order:
    """The table to work on, and the product's scope; the other peers know only the whole table."""

    inventory: str
    scope: str = "all"


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

PEERS: Final = tuple(_MADE_BY)
"""The names of all that update items, ours first."""


def make_peer(name: str, orders: Sequence[Order]) -> Peer:
    """The peer of that name, ready for ``orders``; only it is imported: nobody pays for another's libraries."""
    module, _, function = _MADE_BY[name].partition(":")
    peer: Peer = getattr(import_module(module), function)(orders)
    return peer


def resource_loop(_orders: Sequence[Order]) -> Peer:
    """The loop that everybody writes: a scan, and `Table.update_item` one by one."""
    resource = boto3.resource("dynamodb")

    def run(order: Order) -> Outcome:
        table = resource.Table(order.inventory)
        updated = 0
        request: dict[str, Any] = {"ConsistentRead": True}
        while True:
            page = table.scan(**request)
            for item in page["Items"]:
                update = decide(item)
                if update is not None:
                    table.update_item(**update_request(update))
                    updated += 1
            if "LastEvaluatedKey" not in page:
                return Outcome(updated)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    return run


def transactions(_orders: Sequence[Order]) -> Peer:
    """The client of boto3, as many updates in a transaction as AWS takes."""
    client: DynamoDBClient = boto3.client("dynamodb", config=Config(max_pool_connections=_TRANSACTIONS_AT_ONCE))
    serialize, deserialize = TypeSerializer().serialize, TypeDeserializer().deserialize

    def run(order: Order) -> Outcome:
        def write(updates: tuple[Update, ...]) -> int:
            requests: list[Any] = [{"TableName": order.inventory, **update_request(one, serialize)} for one in updates]
            client.transact_write_items(TransactItems=[{"Update": request} for request in requests])
            return len(updates)

        updated = 0
        pages = client.get_paginator("scan").paginate(TableName=order.inventory, ConsistentRead=True)
        with ThreadPoolExecutor(_TRANSACTIONS_AT_ONCE) as executor:
            for page in pages:
                items = [{name: deserialize(value) for name, value in item.items()} for item in page["Items"]]
                updates = [update for item in items if (update := decide(item)) is not None]
                updated += sum(executor.map(write, batched(updates, TRANSACTION_ITEMS)))
        return Outcome(updated)

    return run
