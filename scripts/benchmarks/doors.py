"""A door as a peer: a file of rows is read, checked and written, by each of the scripts and by the intake."""

import atexit
import csv
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import boto3

from benchmarks.peers import Order, Outcome, Peer
from benchmarks.shelves import AS_OF, Shelf, changes_table_of
from cli.engine import start_engine, stop_engine
from inventory_updater.dynamodb.client import dynamodb_client
from inventory_updater.intake.bucket import INCOMING, Bucket, FileVersion
from inventory_updater.intake.bucket_files import FileDoor
from inventory_updater.intake.call_time import CallTime, GoesOnLaterError
from inventory_updater.intake.change_files import read_change_file
from inventory_updater.intake.csv_format import read_stock_file
from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.intake.stores import Stores
from inventory_updater.intake.text_rows import ChangeRow, StockRow
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable

_RETENTION_DAYS: Final = 30
_CONNECTIONS: Final = 8
_BUCKET: Final = "intake"
_CALL_SECONDS: Final = 300.0


def scheduling(orders: Sequence[Order]) -> Peer:
    """A change for each item of the shelf is scheduled."""
    client = dynamodb_client(boto3.Session(), _CONNECTIONS)

    def run(order: Order, file: Path) -> int:
        changes = ChangeTable(client, changes_table_of(order.inventory), retention_days=_RETENTION_DAYS)
        report = schedule_changes(
            client,
            InventoryTable(client, order.inventory),
            changes,
            lambda: (row for row in read_change_file(file) if isinstance(row, ChangeRow)),
            AS_OF,
            actor="planner",
            source="sales.csv",
        )
        return report.added

    return _from_file(orders, change_rows, run)


def delivering(orders: Sequence[Order]) -> Peer:
    """The same file is in the bucket, and taken in as many calls as that needs; S3 is that of an embedded engine."""
    folder = Path(tempfile.mkdtemp())  # which no finalizer removes before the engine in it has been stopped
    engine = start_engine(folder)
    at_the_end = ExitStack()
    at_the_end.callback(shutil.rmtree, folder)
    at_the_end.callback(stop_engine, folder)
    atexit.register(at_the_end.close)
    client, s3 = dynamodb_client(boto3.Session(), _CONNECTIONS), boto3.client("s3", endpoint_url=engine.endpoint_url)
    s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket=_BUCKET, VersioningConfiguration={"Status": "Enabled"})

    def run(order: Order, file: Path) -> int:
        key = f"{INCOMING}{order.inventory}.csv"
        with file.open("rb") as content:
            put = s3.put_object(Bucket=_BUCKET, Key=key, Body=content)
        inventory = InventoryTable(client, order.inventory)
        changes = ChangeTable(client, changes_table_of(order.inventory), retention_days=_RETENTION_DAYS)
        bucket = Bucket(s3, _BUCKET)
        door = FileDoor(bucket, Stores(client, inventory, changes, guards=None, clock=lambda: AS_OF))
        return _taken(door, FileVersion(key, put["VersionId"]))

    return _from_file(orders, change_rows, run)


def _taken(door: FileDoor, file: FileVersion) -> int:
    while True:
        with suppress(GoesOnLaterError):
            receipt = door.take(file, "planner", _new_call())
            assert receipt is not None
            return int(str(receipt["added"]))


def _new_call() -> CallTime:
    ends = time.monotonic() + _CALL_SECONDS
    return CallTime(lambda: ends - time.monotonic())


def loading(orders: Sequence[Order]) -> Peer:
    """As many new items as the shelf has are loaded."""
    client = dynamodb_client(boto3.Session(), _CONNECTIONS)

    def run(order: Order, file: Path) -> int:
        return load_stock(
            client,
            InventoryTable(client, order.inventory),
            lambda: (row for row in read_stock_file(file) if isinstance(row, StockRow)),
            AS_OF,
        ).made

    return _from_file(orders, stock_rows, run)


def change_rows(count: int) -> Iterator[Mapping[str, str]]:
    """A new change for each item of a shelf."""
    for number in range(count):
        yield {
            "change_id": f"order-{number:08}",
            "sku": f"SKU-{number:08}",
            "location_id": "DC-01",
            "kind": "adjustment",
            "value": "-3",
            "effective_at": "2026-03-03T09:30:00Z",
            "reason": "sale",
            "reference": f"order-{number:08}",
        }


def stock_rows(count: int) -> Iterator[Mapping[str, str]]:
    """Items that are on no shelf."""
    for number in range(count):
        yield {
            "sku": f"NEW-{number:08}",
            "location_id": "DC-01",
            "on_hand": "120",
            "reserved": "7",
            "safety_stock": "10",
            "reorder_point": "40",
            "unit_price": "12.5",
            "currency": "EUR",
            "description": "Stoneware mug, 350 ml, speckled blue",
        }


def write_rows(file: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write a CSV file of these rows."""
    with file.open("w", newline="", encoding="utf-8") as text:
        writer: csv.DictWriter[str] | None = None
        for row in rows:
            if writer is None:
                writer = csv.DictWriter(text, row.keys())
                writer.writeheader()
            writer.writerow(row)


def _from_file(
    orders: Sequence[Order], rows: Callable[[int], Iterable[Mapping[str, str]]], run: Callable[[Order, Path], int]
) -> Peer:
    """``run`` with a file that was written before."""
    folder = tempfile.TemporaryDirectory()
    files = {order.inventory: Path(folder.name) / f"{order.inventory}.csv" for order in orders}
    for inventory, file in files.items():
        write_rows(file, rows(Shelf.of_table(inventory).stored))

    def from_file(order: Order) -> Outcome:
        assert Path(folder.name).exists()  # kept as long as this peer is
        return Outcome(run(order, files[order.inventory]))

    return from_file
