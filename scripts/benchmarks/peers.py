"""How others update stock in DynamoDB, each written as its good users write it.

A peer is made once, with its clients, and then called with an order: it scans the whole table, takes the product's
decision for each item, and makes the same conditional update in its own way.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import boto3
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.config import Config

from benchmarks.expressions import decide, update_request
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.stock.planning import Update

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

TRANSACTION_ITEMS: Final = 100
"""The most that AWS takes: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""

_TRANSACTIONS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Order:
    """What a run is to do.

    Attributes:
        inventory: the table to work on; ``jobs``: the jobs table beside it.
        scope: the product's scope; the peers know only the whole table.
    """

    inventory: str
    jobs: str = "jobs-shelf"
    scope: str = "all"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did; read units only where the client asked for them."""

    scanned: int
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
        scanned = updated = 0
        request: dict[str, Any] = {"ConsistentRead": True}
        while True:
            page = table.scan(**request)
            for item in page["Items"]:
                scanned += 1
                update = decide(item)
                if update is not None:
                    table.update_item(**update_request(update))
                    updated += 1
            if "LastEvaluatedKey" not in page:
                return Outcome(scanned, updated)
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    return run


def transactions(_orders: Sequence[Order]) -> Peer:
    """The client of boto3, as many updates in a transaction as AWS takes."""
    client: DynamoDBClient = boto3.client("dynamodb", config=Config(max_pool_connections=_TRANSACTIONS_AT_ONCE))
    serialize = TypeSerializer().serialize

    def run(order: Order) -> Outcome:
        def write(updates: tuple[Update, ...]) -> int:
            client.transact_write_items(
                TransactItems=[
                    {"Update": {"TableName": order.inventory, **update_request(update, serialize)}}  # type: ignore[typeddict-item]  # the request is complete
                    for update in updates
                ]
            )
            return len(updates)

        scanned = updated = 0
        with ThreadPoolExecutor(_TRANSACTIONS_AT_ONCE) as executor:
            for items in _pages(client, order.inventory):
                scanned += len(items)
                updated += sum(executor.map(write, batched(_decisions(items), TRANSACTION_ITEMS)))
        return Outcome(scanned, updated)

    return run


def _pages(client: "DynamoDBClient", table: str) -> Iterator[list[dict[str, object]]]:
    deserialize = TypeDeserializer().deserialize
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield [{name: deserialize(value) for name, value in item.items()} for item in page["Items"]]


def _decisions(items: Iterable[Mapping[str, object]]) -> Iterator[Update]:
    return (update for item in items if (update := decide(item)) is not None)
