"""The product as a peer: a whole job, opened, updated segment by segment and closed."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import boto3

from benchmarks.peers import Order, Outcome, Peer
from benchmarks.shelves import AS_OF
from inventory_updater.dynamodb.client import botocore_client
from inventory_updater.handler import make_services, spare_garbage_collector
from inventory_updater.jobs.in_process import run_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.tables.inventory_table import InventoryTable


class _UnsentMetrics:
    """Stands for CloudWatch, which is on none of the engines' clocks."""

    def put_metric_data(self, **_request: Any) -> None:  # the request of any release of boto3
        return


def product(orders: Sequence[Order]) -> Peer:
    """The product, wired as its function is: once a process, before there is work."""
    session = boto3.Session()
    return _peer({order.inventory: _services(session, order) for order in orders})


def product_on_botocore(orders: Sequence[Order]) -> Peer:
    """The product with boto3's client for the inventory, whatever its function uses."""
    session = boto3.Session()

    def wired(order: Order) -> Services:
        services = _services(session, order)
        client = botocore_client(session, services.settings.write_concurrency)
        return replace(services, inventory=InventoryTable(client, order.inventory))

    return _peer({order.inventory: wired(order) for order in orders})


def _peer(services: Mapping[str, Services]) -> Peer:
    spare_garbage_collector()
    return lambda order: _run(services[order.inventory], order)


def _services(session: boto3.Session, order: Order) -> Services:
    settings = Settings("bench", order.inventory, order.jobs)
    services = make_services(settings, session)
    return replace(services, reports=Reporter("bench", cast("Any", _UnsentMetrics())))


def _run(services: Services, order: Order) -> Outcome:
    request = JobRequest.from_input(f"bench-{uuid.uuid4()}", AS_OF, {"scope": order.scope, "as_of": AS_OF})
    run = run_job(services, request)
    tally = run.tally
    if run.status != "SUCCEEDED":
        raise RuntimeError(f"the job ended {run.status}: {run.error}")
    return Outcome(tally.items_scanned, tally.items_updated, float(tally.read_units))
