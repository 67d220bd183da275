"""A small shop of its own for each round: its tables, its items, and everybody beside the jobs who writes to them."""

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, cast

from inventory_updater.intake.operations import RefusedError, UnfinishedError, cancel_changes, schedule_changes
from inventory_updater.jobs.settings import Settings
from inventory_updater.stock.changes import Change
from inventory_updater.stock.items import ItemKey
from inventory_updater.stock.times import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from tests.engines import create_tables, delete_tables
from tests.fakes.clock import Clock
from tests.faults.findings import Finding, Findings
from tests.faults.gate import Gate, Worker
from tests.faults.model import Event, Key, derived_of
from tests.faults.wire import Engine
from tests.shop import Items, put_items, stored_items

SALE: Final = "sale beside the write"
RESERVATION: Final = "reservation beside the write"
DELETED: Final = "item deleted while planned"
SCHEDULED: Final = "change scheduled while its item is written"
CANCELLED: Final = "change cancelled while its item is written"
FAULTS_BESIDE: Final = (SALE, RESERVATION, DELETED, SCHEDULED, CANCELLED)

STEP_TRIES: Final = 8
"""How often a step of a job, or of an operator, is tried; the last two times nothing disturbs it."""

MINUTES: Final = 90


def minute(number: int) -> str:
    """The stored time of a minute of one trading day."""
    return f"2026-03-02T{8 + number // 60:02}:{number % 60:02}:00.000000Z"


class SmallShop:
    """Two tables on an engine, the gate before them, and who trades there."""

    def __init__(self, engine: Engine, seed: str, number: int, generator: random.Random) -> None:
        self.random = generator
        self.engine = engine
        self.number = number
        self.findings = Findings(rounds=1)
        self.clock = Clock.running()
        self.client = engine.calm
        self.tables = create_tables(self.client, f"faults-{number}-{uuid.uuid4().hex[:12]}")
        self.settings = Settings(
            "faults",
            self.tables.inventory,
            self.tables.jobs,
            segments=self.random.randint(1, 3),
            page_size=self.random.randint(4, 25),
            batch_size=self.random.randint(3, 25),
            write_concurrency=self.random.randint(1, 3),
            allow_negative_stock=self.random.random() < 0.3,
            function_timeout_seconds=60,
            alert_topic_arn="arn:aws:sns:eu-west-1:123456789012:alerts",
            alert_repeat_hours=1,
        )
        self.gate = Gate(f"{seed}/{number}", self.settings.allow_negative_stock)
        self.gate.current_item = self._stored
        self.keys: list[Key] = []
        self._ids = 0
        self._id_lock = threading.Lock()

    def close(self) -> None:
        """Take the tables away."""
        delete_tables(self.client, self.tables)

    def calm_jobs(self) -> JobTable:
        return JobTable(self.client, self.tables.jobs, retention_days=30, clock=self.clock)

    def put_items(self, count: int) -> None:
        """Fill the shop."""
        items: list[dict[str, Any]] = []
        for number in range(count):
            figures: dict[str, Decimal | None] = {
                "on_hand": Decimal(self.random.randint(0, 200)) / 4,
                "reserved": self._quantity(20),
                "safety_stock": self._quantity(8),
                "reorder_point": self._quantity(40),
                "unit_price": self._quantity(30),
            }
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

    def _quantity(self, limit: int) -> Decimal | None:
        return None if self.random.random() < 0.25 else Decimal(self.random.randint(0, limit * 4)) / 4

    def _stored(self, key: Key) -> dict[str, Any] | None:
        answer = self.client.get_item(TableName=self.tables.inventory, Key=_attributes_of(key), ConsistentRead=True)
        return cast("dict[str, Any] | None", answer.get("Item"))

    def stored_items(self) -> Items:
        """Every item as the engine holds it."""
        return stored_items(self.client, self.tables.inventory)

    # Other writers

    def sell(self, key: Key, generator: random.Random) -> None:
        """A sale at the till, which knows nothing of versions."""
        self._foreign(key, "on_hand", -Decimal(generator.randint(1, 12)) / 4)

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

        self.gate.foreign(send, {"event": "deleted", "item": list(key)})

    # Operators

    def new_change(self, generator: random.Random, until: int = MINUTES) -> Change:
        """A change that is due by that minute; a few make no sense."""
        with self._id_lock:
            self._ids += 1
            change_id = f"c{self._ids:05}"
        kind: object = generator.choice(["adjustment"] * 6 + ["count", "price", "reorder_point", "safety_stock"])
        value: object = Decimal(generator.randint(-60, 80)) / 4
        if kind != "adjustment" and generator.random() < 0.9:
            value = abs(cast("Decimal", value))
        if generator.random() < 0.03:
            kind = "theft"
        if generator.random() < 0.03:
            value = None
        return Change(change_id, kind, value, minute(generator.randrange(until)))

    def schedule(self, name: str, changes: list[tuple[ItemKey, Change]], rate: float) -> None:
        """Send a file of changes, again and again until it is in."""
        wanted: dict[Key, dict[str, Any]] = {}
        for key, change in changes:
            value = None if change.value is None else str(change.value)
            event = {"kind": change.kind, "value": value, "effective_at": change.effective_at}
            wanted.setdefault((key.sku, key.location_id), {})[change.change_id] = event

        def send(inventory: InventoryTable) -> None:
            present = [(key, change) for key, change in changes if (key.sku, key.location_id) in self.gate.model.items]
            schedule_changes(inventory, present, self._now, allow_old=True)

        self._operate(name, lambda key: {"event": "schedule", "item": list(key), "changes": wanted[key]}, send, rate)
        self.findings.changes += sum(len(each) for each in wanted.values())

    def cancel(self, name: str, key: Key, ids: list[str], rate: float) -> None:
        """Take changes back."""

        def send(inventory: InventoryTable) -> None:
            cancel_changes(inventory, ids, self._now, key=ItemKey(*key))

        self._operate(name, lambda item: {"event": "cancel", "item": list(item), "ids": ids}, send, rate)

    def _operate(
        self, name: str, intent: Callable[[Key], Event], send: Callable[[InventoryTable], object], rate: float
    ) -> None:
        for attempt in range(STEP_TRIES):
            is_calm = attempt >= STEP_TRIES - 2
            worker = Worker(f"{name}/{attempt}", intent=intent)
            worker.rate, worker.statement_rate = (0.0, 0.0) if is_calm else (rate, rate)
            try:
                with self.engine.gated(self.gate, worker) as client:
                    send(InventoryTable(client, self.tables.inventory))
                return
            except RefusedError:
                return  # what was to be cancelled is no longer pending
            except UnfinishedError:
                continue
            except Exception as error:  # noqa: BLE001  # an operator does the same again, whatever it was
                if is_calm:
                    self.gate.find(f"{name} failed without a fault: {error!r}", Finding.BROKEN_OFF)

    def _now(self) -> str:
        return format_time(self.clock())

    # While an item is written

    def beside(self, rate: float) -> Callable[[Worker, Key], None]:
        def interfere(worker: Worker, key: Key) -> None:
            generator = self.gate.random(worker.name, "beside", key, worker.asked[f"beside {key}"])
            worker.asked[f"beside {key}"] += 1
            item, name = self.gate.model.items.get(key), f"{worker.name}/beside/{key}"
            if item is None or generator.random() >= rate:
                return
            fault = generator.choice([SALE, SALE, RESERVATION, SCHEDULED, SCHEDULED, CANCELLED, CANCELLED, DELETED])
            if fault == DELETED and generator.random() < 0.7:
                fault = SALE
            if fault == CANCELLED and not item.pending:
                fault = SCHEDULED
            self.gate.inject(fault, worker.name, items=[list(key)])
            if fault == SALE:
                self.sell(key, generator)
            elif fault == RESERVATION:
                self.reserve(key, generator)
            elif fault == DELETED:
                self.delete(key)
            elif fault == SCHEDULED:
                self.schedule(name, [(ItemKey(*key), self.new_change(generator, 2 * MINUTES))], 0.0)
            elif pending := sorted(item.pending):
                self.cancel(name, key, [generator.choice(pending)], 0.0)

        return interfere


def _attributes_of(key: Key) -> dict[str, Any]:
    return {"sku": {"S": key[0]}, "location_id": {"S": key[1]}}


def as_json(value: Any) -> Any:
    """A stored value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: as_json(each) for name, each in value.items()}
    return str(value) if isinstance(value, Decimal) else value
