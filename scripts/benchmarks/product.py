"""The product as a peer: a whole job, opened, updated segment by segment and closed."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

import boto3

from benchmarks.peers import Order, Outcome, Peer
from benchmarks.shelves import AS_OF, changes_table_of
from inventory_updater.dynamodb.client import botocore_client
from inventory_updater.handler import make_services, spare_garbage_collector
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable

_LANES: Final = 4
"""The default of the template's ``WriteConcurrency``."""


class _UnsentMetrics:
    """Stands for CloudWatch, which is on none of the engines' clocks."""

    def put_metric_data(self, **_request: Any) -> None:  # the request of any release of boto3
        return


def product(orders: Sequence[Order], lanes: int = _LANES) -> Peer:
    """The product, wired as its function is: once a process, before there is work.

    Args:
        orders: what it is to be ready for.
        lanes: how many shards it works on at once.
    """
    return _peer(orders, lambda _session, services: services, lanes)


def product_on_botocore(orders: Sequence[Order]) -> Peer:
    """The product with boto3's client for the inventory, whatever its function uses."""

    def on_botocore(session: boto3.Session, services: Services) -> Services:
        settings = services.settings
        client = botocore_client(session, settings.write_concurrency)
        changes = ChangeTable(client, settings.changes_table, retention_days=settings.change_retention_days)
        return replace(
            services, dynamodb=client, inventory=InventoryTable(client, settings.inventory_table), changes=changes
        )

    return _peer(orders, on_botocore, _LANES)


def _peer(orders: Sequence[Order], wired: Callable[[boto3.Session, Services], Services], lanes: int) -> Peer:
    session = boto3.Session()
    reports = Reporter("bench", cast("Any", _UnsentMetrics()))

    def services(order: Order) -> Services:
        changes = changes_table_of(order.inventory)
        settings = Settings("bench", order.inventory, changes, "jobs-shelf", write_concurrency=lanes)
        return wired(session, replace(make_services(settings, session), reports=reports))

    services_of = {order.inventory: services(order) for order in orders}
    spare_garbage_collector()

    def run(order: Order) -> Outcome:
        request = JobRequest.from_input(f"bench-{uuid.uuid4()}", AS_OF, {"scope": order.scope, "as_of": AS_OF})
        job = run_job(services_of[order.inventory], request)
        if job.status != "SUCCEEDED":
            raise RuntimeError(f"the job ended {job.status}: {job.error}")
        return Outcome(job.tally.items_updated, float(job.tally.read_units))

    return run
