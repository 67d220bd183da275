"""One environment of the product on an engine: what a test puts into it, runs in it and finds there."""

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

from inventory_updater.dynamodb.client import botocore_client, dynamodb_client
from inventory_updater.dynamodb.pacing import batched
from inventory_updater.dynamodb.values import from_attribute_values, to_attribute_values
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.attributes import Attributes
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import Run
from tests.builders import Stocked, record_attributes
from tests.engines import Tables, session
from tests.fakes.clock import Clock
from tests.fakes.cloudwatch import RecordingCloudWatch

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient


ClientKind = Literal["JSON", "botocore"]
"""The client that the function makes, or botocore's alone, which it falls back to."""


Items = dict[tuple[str, str], Attributes]


def put_items(client: "DynamoDBClient", table: str, items: Iterable[Attributes]) -> None:
    """Put items into a table, as a writer would that knows nothing of this product."""
    for batch in batched(items, 25):
        requests: list[Any] = [{"PutRequest": {"Item": to_attribute_values(item)}} for item in batch]
        while requests:
            answer = client.batch_write_item(RequestItems={table: requests})
            requests = list(answer.get("UnprocessedItems", {}).get(table, []))


def put_stock(client: "DynamoDBClient", tables: Tables, *stock: Attributes | Stocked) -> None:
    """Put items, and the changes that wait for them, into their tables."""
    put_items(client, tables.inventory, [each.attributes if isinstance(each, Stocked) else each for each in stock])
    records = [record for each in stock if isinstance(each, Stocked) for record in each.records]
    put_items(client, tables.changes, records)


def stored_items(client: "DynamoDBClient", table: str) -> Items:
    """Every item of an inventory table, with every attribute, by its key."""
    pages = client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [from_attribute_values(stored) for page in pages for stored in page["Items"]]
    return {(str(item["sku"]), str(item["location_id"])): item for item in items}


class Interposed:
    """A client of which one operation is done in another way: ``instead`` gets the real one and the request.

    It is done so ``times`` times, then really; ``None`` is always.
    """

    def __init__(self, client: object, operation: str, instead: Callable[..., Any], times: int | None = 1) -> None:
        self._client = client
        self._operation = operation
        self._instead = instead
        self._times = times

    def __getattr__(self, name: str) -> Any:  # any operation of any client
        real = getattr(self._client, name)
        if name != self._operation or self._times == 0:
            return real
        if self._times is not None:
            self._times -= 1
        return lambda **request: self._instead(real, **request)


def just_before(client: object, operation: str, happens: Callable[[], object]) -> Interposed:
    """A client before whose next ``operation`` something else happens."""

    def instead(real: Callable[..., Any], **request: Any) -> Any:
        happens()
        return real(**request)

    return Interposed(client, operation, instead)


@dataclass
class Shop:
    """The services of one environment, and shorthands for what every test does with them."""

    services: Services
    tables: Tables
    client: "DynamoDBClient"
    clock: Clock
    metrics: RecordingCloudWatch

    def set_up_with(self, client: object = None, **settings: Any) -> "Shop":
        """The same shop with other settings, or seen through another client."""
        services = self.services
        through = cast("DynamoDBClient", client or self.client)
        settings_now = replace(services.settings, **settings)
        return replace(
            self,
            services=replace(
                services,
                dynamodb=through,
                inventory=InventoryTable(through, services.inventory.name),
                changes=change_table(through, services.changes.name, settings_now),
                settings=settings_now,
            ),
        )

    def put(self, *stock: Attributes | Stocked) -> None:
        put_stock(self.client, self.tables, *stock)

    def schedule(self, key: ItemKey, *changes: Change) -> None:
        """Put changes as another system may by itself."""
        put_items(self.client, self.tables.changes, [record_attributes(key, each) for each in changes])

    def records(self, sku: str = "mug", location_id: str = "DC1") -> dict[str, Attributes]:
        """The records of an item, by change id."""
        return {str(each["change_id"]): each for each in self.services.changes.stored_of(ItemKey(sku, location_id))}

    def statuses(self, sku: str = "mug", location_id: str = "DC1") -> dict[str, object]:
        """What has become of an item's changes, by change id."""
        return {change_id: record["status"] for change_id, record in self.records(sku, location_id).items()}

    def items(self) -> Items:
        return stored_items(self.client, self.services.inventory.name)

    def item(self, sku: str = "mug", location_id: str = "DC1") -> Attributes:
        return self.items()[sku, location_id]

    def update(self, expression: str, sku: str = "mug", location_id: str = "DC1", **values: object) -> None:
        """What another writer does to an item: an update expression in which ``:name`` is a value."""
        self.client.update_item(
            TableName=self.services.inventory.name,
            Key=to_attribute_values({"sku": sku, "location_id": location_id}),
            UpdateExpression=expression,
            ExpressionAttributeValues=to_attribute_values({f":{name}": value for name, value in values.items()}),
        )

    def request(self, job_id: str | None = None, **wanted: object) -> JobRequest:
        """A job that starts now; scope ``due`` unless ``wanted`` says otherwise."""
        started_at = format_time(self.clock())
        return JobRequest.from_input(job_id or f"job-{uuid.uuid4()}", started_at, {"scope": "due"} | wanted)

    def run(self, job_id: str | None = None, *, call_seconds: float | None = None, **wanted: object) -> Run:
        """Run a whole job."""
        return run_job(self.services, self.request(job_id, **wanted), call_seconds=call_seconds)


def change_table(client: "DynamoDBClient", name: str, settings: Settings) -> ChangeTable:
    """The changes table as these settings want it."""
    return ChangeTable(client, name, retention_days=settings.change_retention_days)


def open_shop(endpoint_url: str, tables: Tables, client_kind: ClientKind = "JSON", **settings: Any) -> Shop:
    """A shop on the tables of one test, with a client of that kind."""
    wanted = replace(Settings("test", tables.inventory, tables.changes, tables.jobs), **settings)
    # The engines have clients with settings of their own: here the product's matter.
    make_client = dynamodb_client if client_kind == "JSON" else botocore_client
    client = make_client(session(), wanted.write_concurrency, endpoint_url)
    clock, metrics = Clock.running(), RecordingCloudWatch()
    services = Services(
        client,
        InventoryTable(client, tables.inventory),
        change_table(client, tables.changes, wanted),
        JobTable(client, tables.jobs, retention_days=wanted.job_retention_days, clock=clock),
        Reporter(wanted.environment, metrics.client),
        wanted,
        clock=clock,
    )
    return Shop(services, tables, client, clock, metrics)
