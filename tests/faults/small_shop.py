"""A small shop of its own for each round: its tables, its items, and everybody beside the jobs who writes to them."""

import contextlib
import itertools
import json
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.dynamodb.pacing import Limits, OutOfTimeError
from inventory_updater.dynamodb.values import from_attribute_values
from inventory_updater.intake.bucket import Bucket, FileVersion
from inventory_updater.intake.bucket_files import FileDoor
from inventory_updater.intake.loading import load_stock
from inventory_updater.intake.queue import Intake
from inventory_updater.intake.refusals import RefusedError, UnfinishedError
from inventory_updater.intake.scheduling import schedule_changes
from inventory_updater.intake.stores import Stores
from inventory_updater.intake.text_rows import ChangeRow, StockRow
from inventory_updater.intake.withdrawing import cancel_changes, dismiss_changes, retry_changes
from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.loading import CLEARABLE
from inventory_updater.stock.settling import Moment
from inventory_updater.stock.times import format_time, read_time
from inventory_updater.tables.change_table import ChangeTable
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.protocol import Protocol
from tests.builders import change_file, record_attributes
from tests.engines import create_tables, delete_tables
from tests.fakes.clock import Clock
from tests.fakes.doorstep import BUCKET, QUEUE_URL, notification
from tests.fakes.s3 import FakeBucket
from tests.faults.findings import Finding, Findings
from tests.faults.gate import CONTENT, Gate, Statement, Worker, as_json
from tests.faults.model import Key, derived_of
from tests.faults.wire import Engine
from tests.shop import Items, put_items, stored_items

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

SALE: Final = "sale beside the call"
SOLD_OUT: Final = "all that is left sold beside the call"
RESERVATION: Final = "reservation beside the call"
DELETED: Final = "item deleted beside the call"
SCHEDULED: Final = "change scheduled beside the call"
CANCELLED: Final = "change cancelled beside the call"
RETRIED: Final = "rejected change retried beside the call"
LOADED: Final = "stock replaced beside the call"
RIVAL: Final = "item settled by another call meanwhile"
FAULTS_BESIDE: Final = (SALE, SOLD_OUT, RESERVATION, DELETED, SCHEDULED, CANCELLED, RETRIED, LOADED, RIVAL)

TOO_OLD: Final = "TOO_OLD at the edge"
EXPIRED: Final = "a record expired"
TAKEN_AGAIN: Final = "a file was taken by a repeated delivery"

LINES_A_PART: Final = 5
"""A file of a round has several parts."""

OPERATOR_TRIES: Final = 8
"""How often an operator tries the same; the last two times nothing disturbs it."""

MINUTES: Final = 90


def minute(number: int) -> str:
    """The stored time of a minute of one trading day."""
    return f"2026-03-02T{8 + number // 60:02}:{number % 60:02}:00.000000Z"


class SmallShop:
    """Three tables on an engine, the gate before them, and who trades there. The clock says two in the afternoon."""

    def __init__(self, engine: Engine, seed: str, number: int, generator: random.Random) -> None:
        self.random = generator
        self.engine = engine
        self.number = number
        self.findings = Findings(rounds=1)
        self.clock = Clock.running()
        self.clock.goes_on((read_time(minute(6 * 60)) - self.clock()).total_seconds())
        self.client = engine.calm
        self.tables = create_tables(self.client, f"faults-{number}-{uuid.uuid4().hex[:12]}")
        self.settings = Settings(
            "faults",
            self.tables.inventory,
            self.tables.changes,
            self.tables.jobs,
            segments=self.random.randint(1, 3),
            page_size=self.random.choice([3, 8, 20, 100]),
            batch_size=self.random.randint(3, 25),
            write_concurrency=self.random.randint(1, 3),
            allow_negative_stock=self.random.random() < 0.2,
            change_retention_days=2,
            function_timeout_seconds=60,
            alert_topic_arn="arn:aws:sns:eu-west-1:123456789012:alerts",
            alert_repeat_hours=1,
        )
        self.gate = Gate(f"{seed}/{number}", self.settings.allow_negative_stock)
        self.gate.current = self._current
        self.keys: list[Key] = []
        self._ids = 0
        self._id_lock = threading.Lock()
        self._range = threading.Lock()
        """Which items there are changes one at a time: a loaded item is not deleted meanwhile."""

    def close(self) -> None:
        """Take the tables away."""
        delete_tables(self.client, self.tables)

    def calm_jobs(self) -> JobTable:
        return JobTable(self.client, self.tables.jobs, retention_days=30, clock=self.clock)

    def change_table(self, client: "DynamoDBClient") -> ChangeTable:
        return ChangeTable(client, self.tables.changes, retention_days=self.settings.change_retention_days)

    def protocol(self, client: "DynamoDBClient", **by: str) -> Protocol:
        inventory = InventoryTable(client, self.tables.inventory)
        return Protocol(client, inventory, self.change_table(client), by, self.settings.batch_size)

    def now(self) -> str:
        return format_time(self.clock())

    def put_items(self, count: int) -> None:
        """Fill the shop."""
        items: list[dict[str, Any]] = []
        for number in range(count):
            figures = self._figures(self.random)
            attributes: dict[str, Any] = {
                name: value for name, value in {**figures, **derived_of(figures)}.items() if value is not None
            }
            # Some of the derived figures are not right: what other writers left behind.
            if self.random.random() < 0.2:
                attributes["available"] = Decimal(-1)
            sku, location_id = f"sku-{number // 2:03}", f"DC{number % 2}"
            attributes |= {"sku": sku, "location_id": location_id, "version": Decimal(self.random.randint(1, 9))}
            items.append(attributes)
            self.keys.append((sku, location_id))
            self.gate.note({"event": "opening", "item": [sku, location_id], "attributes": as_json(attributes)})
        put_items(self.client, self.tables.inventory, items)

    @staticmethod
    def _figures(generator: random.Random) -> dict[str, Decimal | None]:
        def quantity(limit: int) -> Decimal | None:
            return None if generator.random() < 0.25 else Decimal(generator.randint(0, limit * 4)) / 4

        return {
            "on_hand": Decimal(generator.randint(0, 200)) / 4,
            "reserved": quantity(20),
            "safety_stock": quantity(8),
            "reorder_point": quantity(40),
            "unit_price": quantity(30),
        }

    def _current(self, statement: Statement) -> dict[str, Any] | None:
        key = {name: {"S": each} for name, each in zip(("sku", "location_id"), statement.item, strict=True)}
        found = self.client.get_item(TableName=self.tables.inventory, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = found.get("Item")
        return item

    def stored_items(self) -> Items:
        """Every item as the engine holds it."""
        return stored_items(self.client, self.tables.inventory)

    def stored_records(self) -> dict[Key, dict[str, Mapping[str, Any]]]:
        """Every record as the engine holds it, by item and change id."""
        found: dict[Key, dict[str, Mapping[str, Any]]] = {}
        for record in self._records():
            found.setdefault((record["sku"], record["location_id"]), {})[record["change_id"]] = record
        return found

    def _records(self) -> Iterator[dict[str, Any]]:
        pages = self.client.get_paginator("scan").paginate(TableName=self.tables.changes, ConsistentRead=True)
        return (dict(from_attribute_values(stored)) for page in pages for stored in page["Items"])

    def index_now(self) -> list[dict[str, Any]]:
        """What the index ``due`` has at this moment."""
        names = ("item", "change_id", "due_shard", "due_at")
        return [{name: each[name] for name in names} for each in self._records() if "due_shard" in each]

    # Other writers

    def sell(self, key: Key, generator: random.Random) -> None:
        """A sale at the till, which knows nothing of versions."""
        self._foreign(key, "on_hand", -Decimal(generator.randint(1, 12)) / 4)

    def sell_out(self, key: Key) -> None:
        """Whatever is on hand is sold at once."""
        item = self.gate.model.items.get(key)
        if item is not None and (item.figures["on_hand"] or 0) > 0:
            self._foreign(key, "on_hand", -(item.figures["on_hand"] or Decimal(0)))

    def reserve(self, key: Key, generator: random.Random) -> None:
        """A reservation by the web shop, which knows nothing of versions."""
        self._foreign(key, "reserved", Decimal(generator.randint(1, 8)) / 4)

    def _foreign(self, key: Key, name: str, delta: Decimal) -> None:
        def send() -> bool:
            if key not in self.gate.model.items:
                return False
            self.client.update_item(
                TableName=self.tables.inventory,
                Key=_attributes_of(key),
                UpdateExpression=f"ADD {name} :delta",
                ExpressionAttributeValues={":delta": {"N": str(delta)}},
            )
            return True

        self.gate.foreign(send, {"event": "foreign", "item": list(key), "deltas": {name: str(delta)}})

    def delete(self, key: Key) -> None:
        """Another writer takes an item off the range."""

        def send() -> bool:
            self.client.delete_item(TableName=self.tables.inventory, Key=_attributes_of(key))
            return True

        with self._range:
            self.gate.foreign(send, {"event": "deleted", "item": list(key)})

    def put_by_itself(self, key: Key, generator: random.Random, until: int = MINUTES) -> None:
        """Another system puts a record into the table by itself, and a few of those make no sense."""
        change = self.new_change(generator, until)
        record = record_attributes(ItemKey(*key), change)
        record["effective_at"] = change.effective_at.replace(".000000", "")
        spoilt = generator.choice([*({},) * 4, {"kind": "theft"}, {"value": "many"}, {"effective_at": "soon"}])
        record |= spoilt
        if generator.random() < 0.5:
            del record["attempt"]
        content: dict[str, Any] = {name: as_json(record[name]) for name in CONTENT if name in record}
        if record["value"] == "many":
            content["value"] = None
        if record["effective_at"] == "soon":
            content["due_at"] = record["due_at"]

        def send() -> bool:
            put_items(self.client, self.tables.changes, [record])
            return True

        self.findings.changes += 1
        event = {"event": "schedule", "item": list(key), "changes": {change.change_id: content}}
        self.gate.foreign(send, event)

    def expire(self) -> None:
        """DynamoDB deletes, some of them and some time later, the records whose time is over."""
        for key, records in self.stored_records().items():
            for change_id, record in records.items():
                if record.get("expires_at", 10**12) <= self.clock().timestamp() and self.random.random() < 0.8:
                    self._expire(key, change_id, record)

    def _expire(self, key: Key, change_id: str, record: Mapping[str, Any]) -> None:
        def send() -> bool:
            name = {"item": {"S": record["item"]}, "change_id": {"S": change_id}}
            self.client.delete_item(TableName=self.tables.changes, Key=name)
            return True

        self.gate.reached[EXPIRED] += 1
        self.gate.foreign(send, {"event": "expired", "item": list(key), "ids": [change_id]})

    # Operators

    def new_change(self, generator: random.Random, until: int = MINUTES) -> Change:
        """A change that is due by that minute, of any kind: some have conditions that do not hold."""
        with self._id_lock:
            self._ids += 1
            change_id = f"c{self._ids:05}"
        kind = generator.choice(
            ["adjustment"] * 6 + ["count"] * 2 + ["price", "price", "reorder_point", "safety_stock"]
        )
        value = Decimal(generator.randint(-60, 80)) / 4
        start = generator.randrange(until)
        end: str | None = None
        expected: Decimal | None = None
        if kind != "adjustment":
            value = abs(value)
            expected = generator.choice([None, None, Decimal(generator.randint(0, 40)) / 4])
        if kind not in ("adjustment", "count") and generator.random() < 0.6:
            end, expected = minute(start + generator.choice([1, 5, 40, 80])), None
        not_after = generator.choice([None] * 8 + [minute(start), minute(10 * 60)])
        return Change(change_id, kind, value, minute(start), end, expected, not_after)

    def schedule(self, name: str, rows: Sequence[ChangeRow], rate: float, *, allow_old: bool = False) -> None:
        """Send a file of changes, again and again until it is in."""

        def send(client: "DynamoDBClient") -> None:
            present = [row for row in rows if tuple(row.key) in self.gate.model.items]
            inventory, changes = InventoryTable(client, self.tables.inventory), self.change_table(client)
            asked = {"actor": "the campaign", "source": name, "allow_old": allow_old}
            schedule_changes(client, inventory, changes, lambda: present, self.now(), **asked)  # type: ignore[arg-type]

        self._operate(name, send, rate)
        self.findings.changes += len(rows)

    def put_file(self, name: str, rows: Sequence[ChangeRow], rate: float, *, allow_old: bool = False) -> None:
        """Put a file of changes, whose message comes again and again until it is done."""
        bucket, deliveries = FakeBucket(BUCKET, self.clock), itertools.count(1)
        present = [row for row in rows if tuple(row.key) in self.gate.model.items]
        key = f"{'approved' if allow_old else 'incoming'}/{name}"
        version = FileVersion(key, bucket.store(key, change_file(present).encode(), {"accept-good": "true"}))
        message = {"messageId": name, "body": json.dumps(notification(version))}

        def take(client: "DynamoDBClient") -> None:
            number, beside = next(deliveries), Bucket(bucket.client, BUCKET)
            inventory, changes = InventoryTable(client, self.tables.inventory), self.change_table(client)
            stores = Stores(client, inventory, changes, None, self.now)
            door = FileDoor(beside, stores, LINES_A_PART)
            intake = Intake(beside, stores, door, bucket.client, QUEUE_URL, lambda _receipt, _key: None)
            answer: Any = intake.take([message], lambda: 300.0)
            if answer["batchItemFailures"]:
                raise RuntimeError("the message comes again")
            receipt = json.loads(bucket.content(version.receipt_key))
            counted = sum(receipt[each] for each in ("added", "known", "held", "refused", "not_written"))
            if not counted == receipt["rows"] == len(present):
                self.gate.find(f"{name}: the receipt counts {counted} of {len(present)} rows", Finding.WRONG_TALLY)
            self.gate.reached[TAKEN_AGAIN] += number > 1

        self._operate(name, take, rate)
        self.findings.changes += len(rows)

    def rows(self, changes: Mapping[Key, Sequence[Change]]) -> list[ChangeRow]:
        named = [(key, change) for key, some in changes.items() for change in some]
        return [ChangeRow(line, ItemKey(*key), change) for line, (key, change) in enumerate(named, 2)]

    def schedule_at_the_edge(self, key: Key) -> None:
        """Of two changes at the edge of what is remembered the one is refused, and the other one is taken."""
        now = self.now()
        edge = read_time(now) - timedelta(days=self.settings.change_retention_days)
        changes = self.change_table(self.client)
        for moment, is_taken in ((edge, False), (edge + timedelta(microseconds=1), True)):
            change = Change(self.new_change(self.random).change_id, "adjustment", Decimal(1), format_time(moment))
            rows = self.rows({key: [change]})
            worker = Worker(f"edge/{change.change_id}")
            with self.engine.gated(self.gate, worker) as client:
                inventory = InventoryTable(client, self.tables.inventory)
                try:
                    changes = self.change_table(client)
                    schedule_changes(client, inventory, changes, lambda: rows, now, actor="a", source="b")  # noqa: B023
                except RefusedError as error:
                    if is_taken or error.refusals[0].code != "TOO_OLD":
                        self.gate.find(f"{change} is refused: {error}", Finding.BROKEN_OFF)
                    self.gate.reached[TOO_OLD] += 1
                else:
                    if not is_taken:
                        self.gate.find(f"{change} is taken, and may be forgotten", Finding.APPLIED_TWICE)

    def cancel(self, name: str, key: Key, ids: list[str], rate: float) -> None:
        """Take changes back; what an operator is told must be so."""

        def send(client: "DynamoDBClient") -> None:
            wanted = [((ItemKey(*key), change_id), None) for change_id in ids]
            told = list(cancel_changes(self.protocol(client, cancelled_by=name), wanted, self.now))
            for each in told:
                change_id = each.name[1]
                is_so = self.gate.model.records[key][change_id].status == "CANCELLED"
                if each.is_cancelled and not is_so:
                    self.gate.find(f"{name}: {change_id} of {key} is not cancelled as told", Finding.WRONG_RECORD)
            if any(each.is_unfinished for each in told):
                raise UnfinishedError

        self._operate(name, send, rate)

    def retry(self, name: str, rejected: Mapping[Key, list[str]], rate: float) -> None:
        """Let rejected changes wait again."""
        named = {ItemKey(*key): ids for key, ids in rejected.items()}
        self._operate(name, lambda client: retry_changes(client, self.change_table(client), named, self.now()), rate)

    def dismiss(self, name: str, rejected: Mapping[Key, list[str]], rate: float) -> None:
        """Take rejected changes from what needs a person."""
        named = {ItemKey(*key): ids for key, ids in rejected.items()}

        def send(client: "DynamoDBClient") -> None:
            dismiss_changes(client, self.change_table(client), named, self.now(), actor="the campaign")

        self._operate(name, send, rate)

    def load(self, name: str, keys: Sequence[Key], generator: random.Random, rate: float) -> None:
        """Replace the stock of these items, as a file has it; each try is a file of its own."""
        figures = {key: self._figures(generator) for key in keys}

        def row(key: Key) -> StockRow:
            quantities: dict[str, Any] = {
                each: figure if each == "unit_price" else figure or Decimal(0) for each, figure in figures[key].items()
            }
            return StockRow(2, ItemKey(*key), currency=None, description=None, **quantities)

        def send(client: "DynamoDBClient") -> None:
            rows = [row(key) for key in keys if key in self.gate.model.items]
            inventory = InventoryTable(client, self.tables.inventory)
            load_stock(client, inventory, lambda: rows, self.now(), replace=True, clear=CLEARABLE)

        def worker_for(attempt: int) -> Worker:
            worker = Worker(f"{name}/{attempt}")
            worker.load = lambda key: {
                "event": "load",
                "item": list(key),
                "load": worker.name,
                "figures": {
                    each: None if figure is None else str(figure)
                    for each, figure in asdict(row(key)).items()
                    if each in figures[key]
                },
            }
            return worker

        with self._range:
            self._operate(name, send, rate, worker_for)

    def _operate(
        self,
        name: str,
        send: Callable[["DynamoDBClient"], object],
        rate: float,
        worker_for: Callable[[int], Worker] | None = None,
    ) -> None:
        for attempt in range(OPERATOR_TRIES):
            is_calm = attempt >= OPERATOR_TRIES - 2
            worker = worker_for(attempt) if worker_for else Worker(f"{name}/{attempt}")
            worker.rate, worker.statement_rate = (0.0, 0.0) if is_calm else (rate, rate)
            try:
                with self.engine.gated(self.gate, worker) as client:
                    send(client)
                return
            except RefusedError:
                return  # it is not what it was any more, or too old
            except UnfinishedError:
                continue
            except Exception as error:  # noqa: BLE001  # an operator does the same again, whatever it was
                if is_calm:
                    self.gate.find(f"{name} failed without a fault: {error!r}", Finding.BROKEN_OFF)

    # Beside a call

    def settle_beside(self, name: str, key: Key, as_of: str, generator: random.Random) -> None:
        """Another call settles the item at this moment, as a job that has lost its lease and does not know it yet.

        It does so twice, with another change in between: then the item has forgotten what it decided first.
        """
        worker = Worker(name, run=name, as_of=as_of)
        with self.engine.gated(self.gate, worker) as client:
            for _ in range(2):
                moment = Moment(as_of, self.now(), self.settings.allow_negative_stock)
                due = {ItemKey(*key): self.gate.model.waiting(key)}
                with contextlib.suppress(OutOfTimeError):
                    self.protocol(client, job_id=name).settle(due, moment, Limits.for_seconds(5))
                if key in self.gate.model.items:
                    # Every job looks at least so far.
                    self.put_by_itself(key, generator, MINUTES // 2)

    def beside(self, rate: float) -> Callable[[Worker, Key], None]:
        def interfere(worker: Worker, key: Key) -> None:
            nth = worker.asked[f"beside {key}"]
            generator = self.gate.random(worker.name, "beside", key, nth)
            worker.asked[f"beside {key}"] += 1
            if key in self.gate.model.items and generator.random() < rate:
                self._happens(generator, f"{worker.name}/beside/{key}/{nth}", worker, key)

        return interfere

    def _happens(self, generator: random.Random, name: str, worker: Worker, key: Key) -> None:
        what = [SALE, SALE, SOLD_OUT, RESERVATION, SCHEDULED, SCHEDULED, CANCELLED, LOADED, RIVAL, RIVAL, RIVAL]
        fault = generator.choice([*what, RETRIED, RETRIED, DELETED if generator.random() < 0.3 else SALE])
        model = self.gate.model
        if (fault == CANCELLED and not model.waiting(key)) or (fault == RETRIED and not model.rejected(key)):
            fault = SCHEDULED
        self.gate.inject(fault, worker.name, items=[list(key)])
        match fault:
            case "sale beside the call":
                self.sell(key, generator)
            case "all that is left sold beside the call":
                self.sell_out(key)
            case "reservation beside the call":
                self.reserve(key, generator)
            case "item deleted beside the call":
                self.delete(key)
            case "change scheduled beside the call":
                self.put_by_itself(key, generator)
            case "change cancelled beside the call":
                self.cancel(name, key, [generator.choice(model.waiting(key) or ["none"])], 0.0)
            case "rejected change retried beside the call":
                self.retry(name, {key: model.rejected(key)}, 0.0)
            case "stock replaced beside the call":
                self.load(name, [key], generator, 0.0)
            case _:
                self.settle_beside(name, key, worker.as_of, generator)


def _attributes_of(key: Key) -> dict[str, Any]:
    return {"sku": {"S": key[0]}, "location_id": {"S": key[1]}}
