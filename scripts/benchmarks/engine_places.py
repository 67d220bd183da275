"""The real engines as places to measure: their items put back before every run, and looked at after it."""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from benchmarks.expressions import decide
from benchmarks.measuring import Place, Progress, RunFailed, environment_of, serving
from benchmarks.peers import Order
from benchmarks.shelves import Shelf
from cli.engine import CHECKOUT, REGION
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

REAL_ENGINES: Final = ("ministack", "dynamodb-local")
WARM_ITEMS: Final = 50

_WRITERS: Final = 4
_BATCH: Final = 25
_CLOCK_ATTRIBUTES: Final = frozenset({"updated_at", "settled_at", "last_write_id"})
"""What tells when and by whom an item was written differs from run to run."""


class NotHere(Exception):
    """An engine cannot run on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class RealPlace:
    """A real engine with the two tables that are measured, and two to warm up on."""

    place: Place
    client: "DynamoDBClient"
    order: Order
    warm_up: Order
    shelf: Shelf

    def check(self, peer: str) -> None:
        """Compare every item with what the plan makes of it.

        Raises:
            RunFailed: naming the first item that is different.
        """
        expected = {number: _planned(self.shelf.item(number)) for number in range(self.shelf.stored)}
        by_sku = {str(item["sku"]): item for item in expected.values()}
        found: dict[str, dict[str, object]] = {}
        for page in self.client.get_paginator("scan").paginate(TableName=self.order.inventory, ConsistentRead=True):
            for stored in page["Items"]:
                item = from_attribute_values(stored)
                found[str(item["sku"])] = _without_clock(item)
        for sku in sorted(by_sku.keys() | found.keys()):
            if by_sku.get(sku) != found.get(sku):
                is_so, should_be = found.get(sku), by_sku.get(sku)
                raise RunFailed(f"{peer} on {self.place.engine} left {sku} as {is_so}, the plan says {should_be}")


@contextlib.contextmanager
def real_place(engine: str, items: int) -> Iterator[RealPlace]:
    """A real engine of one's own; ended, with all it holds, when the context is left.

    Raises:
        NotHere: where it cannot run on this machine.
        RunFailed: where it does not start.
    """
    python = str(CHECKOUT / ".venv" / "bin" / "python")
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as directory,
        serving(python, "-m", "benchmarks.engine_host", engine, directory) as (_, line),
    ):
        yield _place(engine, json.loads(line), Shelf(items, items))


@dataclass(frozen=True, slots=True)
class GrowthPlace:
    """A real engine with a table for each size, every one of them with the same items that are due."""

    place: Place
    orders: Mapping[str, Order]
    warm_up: Order


@contextlib.contextmanager
def growth_place(engine: str, sizes: Sequence[int], due: int, progress: Progress) -> Iterator[GrowthPlace]:
    """A real engine with tables of so many items, of each of which the first ``due`` are due.

    Raises:
        NotHere, RunFailed: as ``real_place`` does.
    """
    with real_place(engine, due) as real:
        orders = {}
        for size in sizes:
            progress(f"  {engine}: loading {size:,} items")
            table = f"{real.order.inventory}-{size}"
            _create_like(real.client, real.order.inventory, table)
            put_shelf(real.client, table, Shelf(size, 0), range(due, size))
            orders[f"{size:,} items"] = Order(table, real.order.jobs, scope="due")

        def restore() -> None:
            real.place.restore()
            for order in orders.values():
                put_shelf(real.client, order.inventory, real.shelf)

        yield GrowthPlace(replace(real.place, restore=restore), orders, replace(real.warm_up, scope="due"))


def _create_like(client: "DynamoDBClient", pattern: str, name: str) -> None:
    described: Any = client.describe_table(TableName=pattern)["Table"]
    indexes = [
        {key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
        for index in described["GlobalSecondaryIndexes"]
    ]
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=described["AttributeDefinitions"],
        KeySchema=described["KeySchema"],
        GlobalSecondaryIndexes=indexes,  # type: ignore[arg-type]  # as it was described
    )


def _place(engine: str, hosted: Mapping[str, Any], shelf: Shelf) -> RealPlace:
    if hosted["reason"]:
        raise NotHere(hosted["reason"])
    client: DynamoDBClient = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    ).client("dynamodb", endpoint_url=hosted["endpoint_url"], config=Config(max_pool_connections=_WRITERS))

    def restore() -> None:
        put_shelf(client, hosted["inventory"], shelf)
        put_shelf(client, hosted["warm_inventory"], Shelf(WARM_ITEMS, WARM_ITEMS))

    environment = environment_of(urlsplit(hosted["endpoint_url"]).port or 80)
    return RealPlace(
        Place(engine, environment, hosted["pid"], restore=restore),
        client,
        Order(hosted["inventory"], hosted["jobs"]),
        Order(hosted["warm_inventory"], hosted["warm_jobs"]),
        shelf,
    )


def put_shelf(client: "DynamoDBClient", table: str, shelf: Shelf, numbers: Iterable[int] | None = None) -> None:
    """Put the items of a shelf, all or those with these ``numbers``, into a table, as they are before any update."""

    def put(batch: tuple[int, ...]) -> None:
        requests: list[Any] = [{"PutRequest": {"Item": to_attribute_values(shelf.item(number))}} for number in batch]
        while requests:
            answer = client.batch_write_item(RequestItems={table: requests})
            requests = list(answer.get("UnprocessedItems", {}).get(table, []))

    with ThreadPoolExecutor(_WRITERS) as executor:
        for _ in executor.map(put, batched(range(shelf.stored) if numbers is None else numbers, _BATCH)):
            pass


def _planned(item: Mapping[str, object]) -> dict[str, object]:
    """An item as the plan makes it, without what depends on the clock."""
    update = decide(item)
    if update is None:
        return _without_clock(item)
    kept = {name: value for name, value in item.items() if name not in update.removes}
    return _without_clock({**kept, **update.sets})


def _without_clock(attributes: Mapping[str, object]) -> dict[str, object]:
    return {
        name: _without_clock(value) if isinstance(value, dict) else value
        for name, value in attributes.items()
        if name not in _CLOCK_ATTRIBUTES
    }
