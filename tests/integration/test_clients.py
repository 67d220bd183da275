"""What the product's client sends for a whole job, beside what botocore's client alone sends for it."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from boto3.dynamodb.types import Binary

from inventory_updater.dynamodb.botocore_private import ITEM_OPERATIONS
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus, Run
from tests.builders import Stocked, change, item_attributes, mugs, stocked, unreadable
from tests.engines import Tables, create_tables, delete_tables
from tests.fakes.clock import Clock
from tests.faults.wire import operation_of
from tests.shop import ClientKind, Shop, open_shop, stored_items

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOTH: tuple[ClientKind, ...] = ("JSON", "botocore")

pytestmark = pytest.mark.parametrize("dynamodb_client", ["ministack"], indirect=True, scope="session")


class Recorder:
    """The requests of a shop; before a mug is written for the first time, somebody sells some of it."""

    def __init__(self, shop: Shop, tables: Tables) -> None:
        self.sent: list[tuple[str, str]] = []
        self._shop = shop
        self._names = {tables.inventory: "INVENTORY", tables.changes: "CHANGES", tables.jobs: "JOBS"}
        self._lock = threading.Lock()
        self._has_sold = False

    def __call__(self, request: Any, **_event: object) -> None:
        operation = operation_of(request.headers)
        with self._lock:
            self.sent.append((operation, self._comparable(request.body)))
            sells = operation == "BatchExecuteStatement" and b'"mug-003"' in request.body and not self._has_sold
            self._has_sold |= sells
        if sells:
            self._shop.update("SET on_hand = on_hand - :sold", sku="mug-003", sold=2)

    def _comparable(self, body: Any) -> str:
        """A body in one order of its members, with the names of tables and of calls made the same."""
        text = json.dumps(json.loads(body), sort_keys=True)
        for name, common in self._names.items():
            text = text.replace(name, common)
        return re.sub(r'"[0-9a-f]{32}"', '"TOKEN"', text)


@contextmanager
def recorded(client: "DynamoDBClient", client_kind: ClientKind) -> Iterator[tuple[Shop, Recorder]]:
    """A shop at a time that stands still, whose requests are recorded."""
    tables = create_tables(client, f"sent-{client_kind.lower()}")
    try:
        shop = open_shop(
            client.meta.endpoint_url, tables, client_kind, segments=1, page_size=10, batch_size=4, write_concurrency=1
        )
        jobs = JobTable(shop.client, tables.jobs, retention_days=30, clock=lambda: NOW)
        services = replace(shop.services, jobs=jobs, clock=lambda: NOW, monotonic=lambda: 0.0)
        # Whoever looks on has a client of their own, so that what they do is not recorded.
        recorder = Recorder(replace(shop, client=client), tables)
        shop.client.meta.events.register("before-send.dynamodb", recorder)
        shop = replace(shop, services=services, clock=cast("Clock", lambda: NOW))
        replace(shop, client=client).put(*stock())
        yield shop, recorder
    finally:
        delete_tables(client, tables)


def stock() -> list[Stocked]:
    """Items of every kind that a job meets: due, rejected, superseded, spoilt, and stale to a nightly job."""
    odd = {"description": 'mug \U0001f6d2 "é"\n', "photo": Binary(b"\x00\xff"), "tags": {"red", "blue"}}
    return [
        *mugs(25),
        Stocked(item_attributes(10, sku="odd é") | odd, (change("price", "price", 4, until="18:00"),)),
        stocked(change("out", "adjustment", -11), sku="sold out"),
        stocked(change("late", "count", 3, "08:00"), sku="late", last_set={"count": ("09:00", "c0")}),
        unreadable("spoilt", change("sale", "adjustment", -3)),
        Stocked(item_attributes(10, sku="stale", available=99, stock_status="OUT_OF_STOCK")),
    ]


@pytest.mark.parametrize("scope", ["due", "all"])
def test_both_clients_send_the_same_requests_for_a_whole_job(
    dynamodb_client: "DynamoDBClient", monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    # The memory of the process grows with every test.
    usage = SimpleNamespace(getrusage=lambda _who: SimpleNamespace(ru_maxrss=1024), RUSAGE_SELF=0)
    monkeypatch.setattr("inventory_updater.jobs.pages.resource", usage)
    found: list[tuple[list[tuple[str, str]], Run, object]] = []
    for client_kind in BOTH:
        with recorded(dynamodb_client, client_kind) as (shop, recorder):
            run = shop.run("job-1", scope=scope)
            seen = replace(shop, client=dynamodb_client)
            left = seen.items(), stored_items(dynamodb_client, shop.tables.changes)
            # In any order: what is due is looked for in several shards at once.
            found.append((sorted(recorder.sent), run, left))

    ours, botocores = found
    assert ours == botocores
    assert (run.status, run.tally.conflicts) == (JobStatus.COMPLETED_WITH_FAILURES, 1)
    operations = {operation for operation, _ in ours[0]} - {"Scan"}
    assert operations == ITEM_OPERATIONS - {"Scan"}, "every operation that the product's client makes by itself"
    assert (scope == "all") == any(operation == "Scan" for operation, _ in ours[0])
