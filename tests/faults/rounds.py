"""One round of the campaign: a small shop of its own, a few runs in it, and every fault that its seed asks for.

Jobs are driven as the state machine drives them: each step is tried again after it failed, the segments at the same
time, closing in any case. After each run the table is held against the model.
"""

import contextlib
import itertools
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from inventory_updater.attribute_values import from_attribute_values, to_attribute_values
from inventory_updater.inventory_table import InventoryTable, batched
from inventory_updater.job import JobRequest, close_job, open_job
from inventory_updater.job_table import JobTable
from inventory_updater.operations import RefusedError, UnfinishedError, cancel_changes, schedule_changes
from inventory_updater.records import JobStatus, Run
from inventory_updater.services import Services
from inventory_updater.settings import Settings
from inventory_updater.stock import Change, ItemKey, format_time
from inventory_updater.worker import update_segment
from tests.engines import Tables, delete_tables, table_definition
from tests.faults.gate import BATCH, HTTP_500_LANDED, LANDED_ALL_THE_SAME, LOST_ANSWER, Gate, Worker, WorkerGone
from tests.faults.model import Event, Key, derived_of
from tests.faults.proxy import Nursery
from tests.faults.wire import Engine
from tests.shop import Clock

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KILLED: Final = "worker killed (SIGKILL) in mid-page"
TIMED_OUT: Final = "Lambda timed out in mid-page"
DOUBLED: Final = "duplicate invocation of a segment at once"
TWO_JOBS: Final = "two jobs started together"
LEASE_EXPIRED: Final = "lease expired under a slow worker"
CLOCK_OFF: Final = "clock that is off"
SHORT_CALL: Final = "call without time for the segment"
ABORTED: Final = "job stopped without closing"
METRICS: Final = "metrics publishing failed"
ALERTS: Final = "alert publishing failed"
SALE: Final = "sale beside the write"
RESERVATION: Final = "reservation beside the write"
DELETED: Final = "item deleted while planned"
SCHEDULED: Final = "change scheduled while its item is written"
CANCELLED: Final = "change cancelled while its item is written"

FAULTS_OF_WORKERS: Final = (KILLED, TIMED_OUT, DOUBLED, TWO_JOBS, LEASE_EXPIRED, CLOCK_OFF, SHORT_CALL, ABORTED)
FAULTS_BESIDE: Final = (SALE, RESERVATION, DELETED, SCHEDULED, CANCELLED)
FAULTS_OF_PUBLISHING: Final = (METRICS, ALERTS)

ONLY_LOST: Final = (LOST_ANSWER, HTTP_500_LANDED, f"statement: {LANDED_ALL_THE_SAME}")

STEP_TRIES: Final = 8
"""How often a step of a job is tried; the last two times nothing disturbs it."""

BOTOCORE_SENDS: Final = 4

SEGMENT_FAILURES: Final = 4
"""After how many failed calls a segment is given up, as the state machine's Retry does."""

MINUTES: Final = 90

SCENARIOS: Final = (
    "storm",
    "killed",
    "beside",
    "doubled",
    "timed out",
    "two jobs",
    "lease expired",
    "long lease",
    "lost answers",
    "publishing",
    "throttled for good",
    "clock off",
    "short calls",
    "aborted",
    "mixed",
)

T = TypeVar("T")


def minute(number: int) -> str:
    """The stored time of a minute of one trading day."""
    return f"2026-03-02T{8 + number // 60:02}:{number % 60:02}:00.000000Z"


@dataclass
class Findings:
    """What rounds have found, added up."""

    rounds: int = 0
    runs: int = 0
    changes: int = 0
    lost: int = 0
    applied_twice: int = 0
    foreign_writes_lost: int = 0
    wrong_tallies: int = 0
    inexact_tallies: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        for name in ("rounds", "runs", "changes", "lost", "applied_twice", "foreign_writes_lost", "wrong_tallies"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.inexact_tallies += other.inexact_tallies
        self.injected += other.injected
        self.hits += other.hits
        self.outcomes += other.outcomes
        self.problems += other.problems

    @property
    def is_clean(self) -> bool:
        wrong = (self.lost, self.applied_twice, self.foreign_writes_lost, self.wrong_tallies)
        return not any(wrong) and not self.problems


@dataclass
class Job:
    """One job of a round and what is to happen to it."""

    request: JobRequest
    rate: float = 0.0
    statement_rate: float = 0.0
    beside: float = 0.0
    publishing: float = 0.0
    only: tuple[str, ...] = ()
    call_seconds: float = 120.0
    deaths: int = 0
    death: str = ""
    doubles: bool = False
    is_aborted: bool = False
    ahead_seconds: float = 0.0
    on_batch: Callable[[Worker, int], None] | None = None
    throttles_for_good: frozenset[Key] = frozenset()
    began: int = 0
    outcome: str = ""
    segments: list[int] = field(default_factory=list)
    published: int = 0
    alerts: int = 0

    @property
    def name(self) -> str:
        return self.request.job_id


class Publishing:
    """Stands for CloudWatch and SNS in one step of a job: counts, or fails."""

    def __init__(self, round_: "Round", job: Job, worker: Worker) -> None:
        self._round = round_
        self._job = job
        self._worker = worker

    def put_metric_data(self, **_request: Any) -> None:
        self._may_fail(METRICS)
        self._job.published += 1

    def publish(self, **_request: Any) -> None:
        self._may_fail(ALERTS)
        self._job.alerts += 1

    def _may_fail(self, fault: str) -> None:
        if self._worker.rate or self._job.publishing:
            chance = self._round.gate.random(self._worker.name, fault).random()
            if chance < self._job.publishing:
                self._round.gate.inject(fault, self._worker.name)
                raise ConnectionError("nobody listens")


class Round:
    """One small shop and its runs."""

    def __init__(
        self, engine: Engine, nursery: Nursery | None, seed: str, number: int, scenario: str | None = None
    ) -> None:
        self.random = random.Random(f"{seed}/{number}")
        self.engine = engine
        self.nursery = nursery
        self.number = number
        self.scenario = scenario or self.random.choice(SCENARIOS)
        self.findings = Findings(rounds=1)
        self.clock = Clock()
        self.client = engine.calm
        self.tables = _create_tables(self.client, f"{number}-{uuid.uuid4().hex[:12]}")
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
        self._last_file: list[tuple[ItemKey, Change]] = []
        self.jobs: list[Job] = []
        self.has_time: Callable[[], bool] = lambda: True
        """Asked before each run but the last one."""
        self.may_go_on: Callable[[], bool] = lambda: True
        """Asked before every run: a campaign that has found what it looks for ends its other rounds."""

    # The shop

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
            event: Event = {
                "event": "opening",
                "item": [sku, location_id],
                "attributes": {name: _text(value) for name, value in attributes.items()},
            }
            self.gate.note(event)
        for batch in batched(items, 25):
            requests: list[Any] = [{"PutRequest": {"Item": to_attribute_values(each)}} for each in batch]
            self.client.batch_write_item(RequestItems={self.tables.inventory: requests})

    def _quantity(self, limit: int) -> Decimal | None:
        return None if self.random.random() < 0.25 else Decimal(self.random.randint(0, limit * 4)) / 4

    def _stored(self, key: Key) -> dict[str, Any] | None:
        answer = self.client.get_item(
            TableName=self.tables.inventory,
            Key={"sku": {"S": key[0]}, "location_id": {"S": key[1]}},
            ConsistentRead=True,
        )
        return cast("dict[str, Any] | None", answer.get("Item"))

    def stored_items(self) -> dict[Key, Mapping[str, Any]]:
        """Every item as the engine holds it."""
        found: dict[Key, Mapping[str, Any]] = {}
        for page in self.client.get_paginator("scan").paginate(TableName=self.tables.inventory, ConsistentRead=True):
            for item in page["Items"]:
                attributes = from_attribute_values(item)
                found[str(attributes["sku"]), str(attributes["location_id"])] = attributes
        return found

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
                Key={"sku": {"S": key[0]}, "location_id": {"S": key[1]}},
                UpdateExpression=f"ADD {name} :delta",
                ExpressionAttributeValues={":delta": {"N": str(delta)}},
            )
            return True

        self.gate.foreign(send, {"event": "foreign", "item": list(key), "deltas": {name: str(delta)}})

    def delete(self, key: Key) -> None:
        """Another writer takes an item off the range."""

        def send() -> bool:
            self.client.delete_item(
                TableName=self.tables.inventory, Key={"sku": {"S": key[0]}, "location_id": {"S": key[1]}}
            )
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
            wanted.setdefault((key.sku, key.location_id), {})[change.change_id] = {
                "kind": change.kind,
                "value": value,
                "effective_at": change.effective_at,
            }

        def intent(key: Key) -> Event:
            return {"event": "schedule", "item": list(key), "changes": wanted[key]}

        def send(inventory: InventoryTable) -> None:
            present = [(key, change) for key, change in changes if (key.sku, key.location_id) in self.gate.model.items]
            schedule_changes(inventory, present, self._now, allow_old=True)

        self._operate(name, intent, send, rate)
        self.findings.changes += sum(len(each) for each in wanted.values())

    def cancel(self, name: str, key: Key, ids: list[str], rate: float) -> None:
        """Take changes back."""

        def intent(item: Key) -> Event:
            return {"event": "cancel", "item": list(item), "ids": ids}

        self._operate(
            name, intent, lambda inventory: cancel_changes(inventory, ids, self._now, key=ItemKey(*key)), rate
        )

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
                    self.gate.problems.append(f"{name} failed without a fault: {error!r}")

    def _now(self) -> str:
        return format_time(self.clock())

    # Jobs

    def new_job(self, scope: str, as_of: str, **plans: Any) -> Job:
        """A job of the round, not yet started."""
        number = len(self.jobs) + 1
        request = JobRequest.from_input(
            f"run-{self.number}-{number}", format_time(self.clock()), {"scope": scope, "as_of": as_of}
        )
        job = Job(request, **plans)
        self.jobs.append(job)
        return job

    def _worker(self, job: Job, step: str, attempt: int, *, is_calm: bool) -> Worker:
        worker = Worker(f"{job.name}/{step}/{attempt}", run=job.name, as_of=job.request.as_of)
        worker.throttles_for_good = job.throttles_for_good
        if not is_calm:
            worker.rate, worker.statement_rate, worker.only = job.rate, job.statement_rate, job.only
            worker.beside = self._beside(job.beside) if job.beside else None
            worker.on_batch = job.on_batch
        return worker

    def _services(self, job: Job, worker: Worker, client: "DynamoDBClient", ahead_seconds: float = 0.0) -> Services:
        publishing: Any = Publishing(self, job, worker)
        clock = self._clock(ahead_seconds)
        return Services(
            InventoryTable(client, self.tables.inventory),
            JobTable(client, self.tables.jobs, retention_days=30, clock=clock, sleep=lambda _seconds: None),
            publishing,
            self.settings,
            publishing,
            clock=clock,
        )

    def _clock(self, ahead_seconds: float) -> Callable[[], datetime]:
        return lambda: self.clock() + timedelta(seconds=ahead_seconds)

    def drive(self, job: Job) -> None:
        """Take a job through the state machine."""
        self.open(job)
        if job.outcome == "OPENED":
            self.update(job)
        self.finish(job)

    def open(self, job: Job) -> None:
        job.began = self.gate.model.moment
        self.gate.note({"event": "run", "run": job.name, "scope": job.request.scope, "as_of": job.request.as_of})
        opened = self._step(job, "open", lambda services: open_job(services, job.request))
        if opened is not None:
            job.outcome = opened["outcome"]
            job.segments = opened.get("segments", [])

    def update(self, job: Job) -> None:
        with ThreadPoolExecutor(max(1, len(job.segments))) as threads:
            list(threads.map(lambda segment: self._update(job, segment), job.segments))

    def finish(self, job: Job) -> None:
        if job.is_aborted:
            self.gate.in_doubt.add(job.name)
            self.gate.inject(ABORTED, job.name)
        elif job.outcome == "OPENED":
            status = self._step(job, "close", lambda services: close_job(services, job.request))
            self.gate.note({"event": "closed", "run": job.name, "status": status and status.value})

    def _step(self, job: Job, step: str, call: Callable[[Services], T]) -> T | None:
        for attempt in range(STEP_TRIES):
            is_calm = attempt >= STEP_TRIES - 2
            worker = self._worker(job, step, attempt, is_calm=is_calm)
            if attempt == 0 and job.deaths and self.gate.random(worker.name, "dies").random() < 0.3:
                self._condemn(worker, TIMED_OUT)
            try:
                with self.engine.gated(self.gate, worker) as client:
                    if is_calm:
                        job.publishing = 0.0
                    return call(self._services(job, worker, client))
            except WorkerGone:
                continue
            except Exception as error:  # noqa: BLE001  # the state machine tries again, whatever it was
                if is_calm:
                    self.gate.problems.append(f"{worker.name} failed without a fault: {error!r}")
        return None

    def _update(self, job: Job, segment: int) -> None:
        failures = 0
        for call in range(200):
            step = f"segment-{segment}"
            worker = self._worker(job, step, call, is_calm=False)
            if job.is_aborted and call == 1:
                return
            try:
                if job.doubles and self.gate.random(worker.name, "doubled").random() < 0.5:
                    is_done = self._call_twice(job, worker, segment)
                else:
                    if call < job.deaths:
                        self._condemn(worker, job.death)
                    is_done = self._call(job, worker, segment)
            except WorkerGone:
                self.gate.in_doubt.add(job.name)
                failures += 1
            except Exception as error:  # noqa: BLE001  # the state machine tries again, whatever it was
                self.gate.in_doubt.add(job.name)
                failures += 1
                self.findings.outcomes[type(error).__name__] += 1
            else:
                if is_done:
                    return
            if failures == SEGMENT_FAILURES + job.deaths:
                return

    def _condemn(self, worker: Worker, death: str) -> None:
        generator = self.gate.random(worker.name, "death")
        operation = generator.choice([BATCH, BATCH, BATCH, "PutItem", "Scan"])
        worker.dies_at = (operation, generator.randint(1, 3), generator.random() < 0.5)
        worker.death = death
        self.gate.injected[death] += 1

    def _call(self, job: Job, worker: Worker, segment: int) -> bool:
        if worker.death == KILLED and self.nursery is not None:
            ahead = (self.clock() - datetime.now(self.clock().tzinfo)).total_seconds()
            answer = self.nursery.call(self.gate, worker, self.engine, self.settings, segment, ahead)
            if answer is None:
                raise WorkerGone
            return answer
        end = time.monotonic() + job.call_seconds
        if job.call_seconds < 10:
            self.gate.inject(SHORT_CALL, worker.name)
        with self.engine.gated(self.gate, worker) as client:
            services = self._services(job, worker, client, job.ahead_seconds)
            return update_segment(services, job.name, segment, lambda: end - time.monotonic())

    def _call_twice(self, job: Job, worker: Worker, segment: int) -> bool:
        """The same invocation twice at the same time; the second one's answer is heard by nobody."""
        self.gate.in_doubt.add(job.name)
        self.gate.inject(DOUBLED, worker.name)
        second = replace(worker, name=f"{worker.name}/again", seen=Counter(), asked=Counter())

        def call_again() -> None:
            with contextlib.suppress(Exception, WorkerGone):
                self._call(job, second, segment)

        twin = threading.Thread(target=call_again)
        twin.start()
        try:
            return self._call(job, worker, segment)
        finally:
            twin.join()

    def _beside(self, rate: float) -> Callable[[Worker, Key], None]:
        def beside(worker: Worker, key: Key) -> None:
            generator = self.gate.random(worker.name, "beside", key, worker.asked[f"beside {key}"])
            worker.asked[f"beside {key}"] += 1
            if generator.random() >= rate:
                return
            fault = generator.choice([SALE, SALE, RESERVATION, SCHEDULED, SCHEDULED, CANCELLED, CANCELLED, DELETED])
            if fault == DELETED and generator.random() < 0.7:
                fault = SALE
            name = f"{worker.name}/beside/{key}"
            item = self.gate.model.items.get(key)
            if item is None:
                return
            if fault == CANCELLED and not item.pending:
                fault = SCHEDULED
            self.gate.inject(fault, worker.name, items=[list(key)])
            match fault:
                case "sale beside the write":
                    self.sell(key, generator)
                case "reservation beside the write":
                    self.reserve(key, generator)
                case "item deleted while planned":
                    self.delete(key)
                case "change cancelled while its item is written":
                    pending = sorted(item.pending)
                    if pending:
                        self.cancel(name, key, [generator.choice(pending)], 0.0)
                case _:
                    self.schedule(name, [(ItemKey(*key), self.new_change(generator, 2 * MINUTES))], 0.0)

        return beside

    # The story

    def play(self) -> Findings:
        """Everything that happens in this round, and what it showed."""
        with contextlib.suppress(Spoilt):
            self.put_items(self.random.randint(16, 40))
            for run in range(self.random.randint(2, 4)):
                if not (self.may_go_on() and self.has_time()):
                    break
                self._trade(run)
                self._run()
            if self.may_go_on():
                self.check_everything_is_settled()
        for key, item in sorted(self.stored_items().items()):
            self.gate.note({"event": "closing", "item": list(key), "attributes": _plain(item)})
        self.findings.injected += self.gate.injected
        self.findings.hits += self.gate.hits
        self.findings.problems += [f"round {self.number} ({self.scenario}): {each}" for each in self.gate.problems]
        return self.findings

    def _trade(self, run: int) -> None:
        """What happens between two runs."""
        rate = self.random.choice([0.0, 0.1, 0.25])
        present = [key for key in self.keys if key in self.gate.model.items]
        changes = [
            (ItemKey(*key), self.new_change(self.random, 2 * MINUTES))
            for key in present
            for _ in range(self.random.choice([0, 1, 1, 2, 3]))
        ]
        if changes:
            self.schedule(f"schedule-{run}", changes, rate)
        if self._last_file and self.random.random() < 0.5:
            self.schedule(f"again-{run}", self._last_file, rate)  # a file that is sent twice
        self._last_file = changes
        for key in self.random.sample(present, min(3, len(present))):
            self.sell(key, self.random)
            pending = sorted(self.gate.model.items[key].pending)
            if pending and self.random.random() < 0.5:
                self.cancel(f"cancel-{run}-{key}", key, [self.random.choice(pending)], rate)

    def _run(self) -> None:
        """One run, or two that meet."""
        as_of = minute(self.random.randrange(MINUTES // 2, 2 * MINUTES))
        scope = self.random.choice(["due", "due", "all"])
        storm = {"rate": 0.08, "statement_rate": self.random.choice([0.25, 0.4]), "beside": 0.08, "publishing": 0.1}
        match self.scenario:
            case "storm":
                self._drive_and_check(self.new_job(scope, as_of, **storm | {"rate": 0.2, "statement_rate": 0.5}))
            case "killed":
                job = self.new_job(scope, as_of, **storm | {"rate": 0.02}, deaths=self.random.randint(1, 2))
                job.death = KILLED if self.nursery else TIMED_OUT
                self._drive_and_check(job)
            case "timed out":
                deaths = self.random.randint(1, 3)
                self._drive_and_check(self.new_job(scope, as_of, **storm, deaths=deaths, death=TIMED_OUT))
            case "beside":
                self._drive_and_check(self.new_job(scope, as_of, statement_rate=0.2, beside=0.4))
            case "doubled":
                self._drive_and_check(self.new_job(scope, as_of, **storm, doubles=True))
            case "two jobs":
                self._two_jobs(scope, as_of, storm)
            case "lease expired":
                self._lease_expires(scope, as_of, storm)
            case "long lease":
                self._long_lease(scope, as_of)
            case "lost answers":
                # Nothing else goes wrong: then every tally has to be exact.
                job = self.new_job(scope, as_of, rate=0.3, statement_rate=0.4, only=ONLY_LOST)
                self._drive_and_check(job)
            case "publishing":
                self._drive_and_check(self.new_job(scope, as_of, statement_rate=0.4, publishing=0.7))
            case "throttled for good":
                self._throttled_for_good(scope, as_of)
            case "clock off":
                job = self.new_job(scope, as_of, **storm)
                job.ahead_seconds = self.random.choice([-3600.0, -200.0, 100.0, 3600.0])
                self.gate.inject(CLOCK_OFF, job.name)
                self._drive_and_check(job)
            case "short calls":
                seconds = self.random.choice([0.1, 0.2, 0.4])
                self._drive_and_check(self.new_job(scope, as_of, **storm, call_seconds=seconds))
            case "aborted":
                self._aborted(scope, as_of, storm)
            case _:
                job = self.new_job(scope, as_of, **storm, doubles=self.random.random() < 0.3)
                job.deaths, job.death = self.random.randint(0, 1), TIMED_OUT
                self._drive_and_check(job)

    def _drive_and_check(self, *jobs: Job) -> None:
        if len(jobs) == 1:
            self.drive(jobs[0])
        else:
            with ThreadPoolExecutor(len(jobs)) as threads:
                list(threads.map(self.drive, jobs))
        self.check(*jobs)

    def _two_jobs(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        first, second = self.new_job(scope, as_of, **storm), self.new_job(scope, as_of, **storm)
        self.gate.inject(TWO_JOBS, second.name)
        self._drive_and_check(first, second)
        if {first.outcome, second.outcome} == {"OPENED"}:
            # One had closed before the other one opened: they never met.
            self.gate.hits[TWO_JOBS] -= 1

    def _lease_expires(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """In the midst of the first job's writes its lease expires, and a second one takes it."""
        first, second = self.new_job(scope, as_of, **storm), self.new_job("all", as_of, **storm)
        lock, at = threading.Lock(), self.random.randint(1, 3)
        batches, strays = itertools.count(1), itertools.count(1)
        # What was under way when the lease was lost goes on, as often as botocore sends it.
        allowed = BOTOCORE_SENDS * self.settings.write_concurrency * self.settings.segments
        self.gate.injected[LEASE_EXPIRED] += 1

        def on_batch(worker: Worker, _number: int) -> None:
            with lock:
                if second.outcome == "OPENED" and next(strays) == allowed + 1:
                    self.gate.problems.append(f"{worker.name} goes on writing without its lease")
                if second.outcome or next(batches) != at:
                    return
                self.clock.goes_on(self.settings.lease_seconds + 1)
                self.gate.in_doubt.add(first.name)
                self.open(second)
                self.gate.hit(LEASE_EXPIRED, worker.name)

        first.on_batch = on_batch
        self.open(first)
        if first.outcome == "OPENED":
            self.update(first)
        if not second.outcome:
            self.finish(first)
            self.check(first)
            return
        self.gate.in_doubt.add(first.name)
        self.finish(first)
        if second.outcome == "OPENED":
            self.update(second)
        self.finish(second)
        self.check(second, first)

    def _long_lease(self, scope: str, as_of: str) -> None:
        """A slow job that is alive keeps its lease, however long it takes."""
        self.settings = replace(self.settings, segments=1, write_concurrency=1, page_size=3, batch_size=2)
        job = self.new_job(scope, as_of)
        rivals: list[Job] = []

        def on_batch(_worker: Worker, _number: int) -> None:
            self.clock.goes_on(self.settings.lease_seconds * 0.45)
            if len(rivals) < 6:
                rival = self.new_job("due", as_of)
                rivals.append(rival)
                self.gate.inject(TWO_JOBS, rival.name)
                self.open(rival)
                if rival.outcome == "OPENED":
                    self.gate.problems.append(f"{rival.name} took the lease of {job.name}, which was alive")

        job.on_batch = on_batch
        self._drive_and_check(job)

    def _throttled_for_good(self, scope: str, as_of: str) -> None:
        """The table takes nothing for one item as long as the job runs."""
        present = [key for key in self.keys if key in self.gate.model.items]
        job = self.new_job(scope, as_of, call_seconds=1.0)
        job.throttles_for_good = frozenset(self.random.sample(present, min(2, len(present))))
        self._drive_and_check(job)

    def _aborted(self, scope: str, as_of: str, storm: Mapping[str, float]) -> None:
        """A job that nobody closes is settled by the next one."""
        dead = self.new_job(scope, as_of, **storm, is_aborted=True)
        self.drive(dead)
        self.clock.goes_on(self.settings.lease_seconds + 1)
        following = self.new_job(scope, as_of, **storm)
        self._drive_and_check(following)
        self.check(dead)

    # What must be true

    def check(self, *jobs: Job) -> None:
        """Hold the table and the records of these runs against the model.

        Raises:
            Spoilt: where something is wrong; the round ends there.
        """
        self.gate.deliver_late_writes()
        stored = self.stored_items()
        for key in sorted({*self.gate.model.items, *stored}):
            difference = self.gate.model.difference(key, stored.get(key))
            if difference is not None:
                self.findings.lost += difference.lost
                self.findings.applied_twice += difference.applied_twice
                self.findings.foreign_writes_lost += difference.foreign_writes_lost
                self.gate.problems.append(difference.words)
        for job in jobs:
            self._check_run(job)
        if self.gate.problems or not self.findings.is_clean:
            raise Spoilt

    def _check_run(self, job: Job) -> None:
        self.findings.runs += 1
        records = self.calm_jobs()
        run = records.run(job.name)
        say = self.gate.problems.append
        if job.outcome == "WAIT":
            return
        if run is None or not run.is_settled:
            say(f"{job.name} was never settled")
            return
        self.findings.outcomes[run.status.value] += 1
        self.gate.note({"event": "ended", "run": job.name, "status": run.status.value, "tally": _tally_of(run)})
        if records.lease().holder == job.name:
            say(f"{job.name} left its lease behind")
        self._check_tally(job, run)
        if run.status is JobStatus.SKIPPED:
            return
        self._check_reports(job, run)
        if run.status in (JobStatus.SUCCEEDED, JobStatus.COMPLETED_WITH_FAILURES) and run.error is None:
            self._check_nothing_is_left(job, run)

    def _check_tally(self, job: Job, run: Run) -> None:
        truth, told = self.gate.model.truth[job.name], _tally_of(run)
        wrong = {name: (count, truth[name]) for name, count in told.items() if count > truth[name]}
        if run.tally_is_exact:
            wrong = {name: (count, truth[name]) for name, count in told.items() if count != truth[name]}
            failures = list(self.calm_jobs().failures(job.name))
            recorded = {
                "changes_rejected": sum(1 for each in failures if each.change_id is not None),
                "items_failed": sum(1 for each in failures if each.change_id is None),
            }
            for name, count in recorded.items():
                # What could not be recorded is counted all the same, and the run says so.
                if "failures could not be recorded" in (run.error or ""):
                    break
                if count != getattr(run.tally, name):
                    wrong[f"{name} recorded"] = (count, getattr(run.tally, name))
        else:
            self.findings.inexact_tallies += 1
            if job.name not in self.gate.in_doubt and not self._may_doubt(job):
                wrong["tally_is_exact"] = (0, 1)
        if wrong:
            self.findings.wrong_tallies += 1
            self.gate.problems.append(f"{job.name}: told and true are {wrong}, exact is {run.tally_is_exact}")

    def _may_doubt(self, job: Job) -> bool:
        """Whether the product may have lost sight of what it wrote."""
        return bool(job.rate or job.statement_rate) and not job.only

    def _check_reports(self, job: Job, run: Run) -> None:
        say = self.gate.problems.append
        is_displaced = run.status is JobStatus.ABANDONED
        if not run.metrics_published_at and not run.metrics_error:
            say(f"{job.name}: no metrics, and no word why")
        if run.metrics_published_at and not job.published and not is_displaced:
            say(f"{job.name}: metrics are marked as published and were not")
        # The alert of an abandoned job that could not be sent is left to the next job.
        is_left = is_displaced and run.alert_error and job.name in self.calm_jobs().lease().displaced
        if not run.alerted_at and not is_left:
            say(f"{job.name}: the alert is not settled")
        earlier = [each for each in self.jobs if each.alerts and each.request.scope == job.request.scope]
        if run.status not in (JobStatus.SUCCEEDED, JobStatus.ABANDONED) and not earlier:
            say(f"{job.name} is {run.status.value} and nobody was told")

    def _check_nothing_is_left(self, job: Job, run: Run) -> None:
        """A run that came through has settled all that was due when it began, or says what it could not."""
        failed = {
            (each.sku, each.location_id) for each in self.calm_jobs().failures(job.name) if each.change_id is None
        }

        def is_settled_elsewhere(key: Key) -> bool:
            # An item that moves within the index while that is being read may be passed over, until the next job.
            touched = self.gate.model.items[key].touched
            return key in failed or (job.request.scope == "due" and touched.get("operator", 0) > job.began)

        left = [
            (key, change_id)
            for key, change_id in self.gate.model.due(job.request.as_of, job.began)
            if not is_settled_elsewhere(key)
        ]
        if left:
            self.findings.lost += len(left)
            self.gate.problems.append(f"{job.name} is {run.status.value} and left {left[:3]} behind")
        if job.request.scope != "all":
            return
        for key, item in self.gate.model.items.items():
            is_stale = item.derived != derived_of(item.figures)
            if is_stale and key not in failed and item.touched.get("foreign", 0) <= job.began:
                self.gate.problems.append(f"{job.name} left wrong derived figures at {key}")

    def check_everything_is_settled(self) -> None:
        """A last run that nothing disturbs settles whatever is left."""
        self.clock.goes_on(self.settings.lease_seconds + 1)
        as_of = minute(3 * MINUTES)
        job = self.new_job("all", as_of)
        self._drive_and_check(job)
        left = list(self.gate.model.due(as_of, self.gate.model.moment))
        if left:
            self.findings.lost += len(left)
            self.gate.problems.append(f"after a calm run {left[:3]} are still pending")


class Spoilt(Exception):
    """Something is wrong in this round: what follows would only repeat it."""


@cache
def _definitions() -> str:
    """What CreateTable takes for both tables, as JSON; reading the template takes a second."""
    return json.dumps([table_definition(name, "faults-SUFFIX") for name in ("InventoryTable", "JobsTable")])


def _create_tables(client: "DynamoDBClient", suffix: str) -> Tables:
    inventory, jobs = json.loads(_definitions().replace("SUFFIX", suffix))
    for definition in (inventory, jobs):
        client.create_table(**definition)
    for definition in (inventory, jobs):
        while client.describe_table(TableName=definition["TableName"])["Table"]["TableStatus"] != "ACTIVE":
            time.sleep(0.05)
    return Tables(inventory["TableName"], jobs["TableName"])


def _tally_of(run: Run) -> dict[str, int]:
    names = ("items_updated", "changes_applied", "changes_rejected", "changes_superseded")
    return {name: getattr(run.tally, name) for name in names}


def _text(value: object) -> object:
    return str(value) if isinstance(value, Decimal) else value


def _plain(value: Any) -> Any:
    """A stored value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return _text(value)
