"""Drives jobs as the state machine does: each step again after it failed, the segments at once, closing in any case."""

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import update_segment
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.times import format_time
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from tests.faults.findings import Finding
from tests.faults.gate import BATCH, Worker, WorkerGone
from tests.faults.model import Key
from tests.faults.proxy import Nursery
from tests.faults.small_shop import STEP_TRIES, SmallShop

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

FAULTS_OF_WORKERS: Final = (KILLED, TIMED_OUT, DOUBLED, TWO_JOBS, LEASE_EXPIRED, CLOCK_OFF, SHORT_CALL, ABORTED)
FAULTS_OF_PUBLISHING: Final = (METRICS, ALERTS)

SEGMENT_FAILURES: Final = 4
"""After how many failed calls a segment is given up, as the state machine's Retry does."""

T = TypeVar("T")


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

    def __init__(self, shop: SmallShop, job: Job, worker: Worker) -> None:
        self._shop = shop
        self._job = job
        self._worker = worker

    def put_metric_data(self, **_request: Any) -> None:
        self._may_fail(METRICS)
        self._job.published += 1

    def publish(self, **_request: Any) -> None:
        self._may_fail(ALERTS)
        self._job.alerts += 1

    def _may_fail(self, fault: str) -> None:
        if self._shop.gate.random(self._worker.name, fault).random() < self._job.publishing:
            self._shop.gate.inject(fault, self._worker.name)
            raise ConnectionError("nobody listens")


class StateMachine:
    """The jobs of one shop."""

    def __init__(self, shop: SmallShop, nursery: Nursery | None) -> None:
        self.shop = shop
        self.nursery = nursery
        self.jobs: list[Job] = []

    def new_job(self, scope: str, as_of: str, **plans: Any) -> Job:
        """A job of the round, not yet started."""
        name, wanted = f"run-{self.shop.number}-{len(self.jobs) + 1}", {"scope": scope, "as_of": as_of}
        self.jobs.append(Job(JobRequest.from_input(name, format_time(self.shop.clock()), wanted), **plans))
        return self.jobs[-1]

    def _worker(self, job: Job, step: str, attempt: int, *, is_calm: bool) -> Worker:
        worker = Worker(f"{job.name}/{step}/{attempt}", run=job.name, as_of=job.request.as_of)
        worker.throttles_for_good = job.throttles_for_good
        if not is_calm:
            worker.rate, worker.statement_rate, worker.only = job.rate, job.statement_rate, job.only
            worker.beside = self.shop.beside(job.beside) if job.beside else None
            worker.on_batch = job.on_batch
        return worker

    def _services(self, job: Job, worker: Worker, client: "DynamoDBClient", ahead_seconds: float = 0.0) -> Services:
        publishing: Any = Publishing(self.shop, job, worker)

        def clock() -> datetime:
            return self.shop.clock() + timedelta(seconds=ahead_seconds)

        return Services(
            InventoryTable(client, self.shop.tables.inventory),
            JobTable(client, self.shop.tables.jobs, retention_days=30, clock=clock, sleep=lambda _seconds: None),
            Reporter("test", publishing, publishing),
            self.shop.settings,
            clock=clock,
        )

    def drive(self, job: Job) -> None:
        """Take a job through the state machine."""
        self.open(job)
        if job.outcome == "OPENED":
            self.update(job)
        self.finish(job)

    def open(self, job: Job) -> None:
        job.began = self.shop.gate.model.moment
        self.shop.gate.note({"event": "run", "run": job.name, "scope": job.request.scope, "as_of": job.request.as_of})
        opened = self._step(job, "open", lambda services: open_job(services, job.request))
        if opened is not None:
            job.outcome = opened["outcome"]
            job.segments = opened.get("segments", [])

    def update(self, job: Job) -> None:
        with ThreadPoolExecutor(max(1, len(job.segments))) as threads:
            list(threads.map(lambda segment: self._update(job, segment), job.segments))

    def finish(self, job: Job) -> None:
        if job.is_aborted:
            self.shop.gate.in_doubt.add(job.name)
            self.shop.gate.inject(ABORTED, job.name)
        elif job.outcome == "OPENED":
            status = self._step(job, "close", lambda services: close_job(services, job.request))
            self.shop.gate.note({"event": "closed", "run": job.name, "status": status and status.value})

    def _step(self, job: Job, step: str, call: Callable[[Services], T]) -> T | None:
        for attempt in range(STEP_TRIES):
            is_calm = attempt >= STEP_TRIES - 2
            worker = self._worker(job, step, attempt, is_calm=is_calm)
            if attempt == 0 and job.deaths and self.shop.gate.random(worker.name, "dies").random() < 0.3:
                self._condemn(worker, TIMED_OUT)
            try:
                with self.shop.engine.gated(self.shop.gate, worker) as client:
                    if is_calm:
                        job.publishing = 0.0
                    return call(self._services(job, worker, client))
            except WorkerGone:
                continue
            except Exception as error:  # noqa: BLE001  # the state machine tries again, whatever it was
                if is_calm:
                    self.shop.gate.find(f"{worker.name} failed without a fault: {error!r}", Finding.BROKEN_OFF)
        return None

    def _update(self, job: Job, segment: int) -> None:
        failures = 0
        for call in range(200):
            worker = self._worker(job, f"segment-{segment}", call, is_calm=False)
            if job.is_aborted and call == 1:
                return
            try:
                if job.doubles and self.shop.gate.random(worker.name, "doubled").random() < 0.5:
                    is_done = self._call_twice(job, worker, segment)
                else:
                    if call < job.deaths:
                        self._condemn(worker, job.death)
                    is_done = self._call(job, worker, segment)
            except (Exception, WorkerGone) as error:  # noqa: BLE001  # the state machine tries again, whatever it was
                self.shop.gate.in_doubt.add(job.name)
                failures += 1
                if not isinstance(error, WorkerGone):
                    self.shop.findings.outcomes[type(error).__name__] += 1
            else:
                if is_done:
                    return
            if failures == SEGMENT_FAILURES + job.deaths:
                return

    def _condemn(self, worker: Worker, death: str) -> None:
        generator = self.shop.gate.random(worker.name, "death")
        operation = generator.choice([BATCH, BATCH, BATCH, "PutItem", "Scan"])
        worker.dies_at = (operation, generator.randint(1, 3), generator.random() < 0.5)
        worker.death = death
        self.shop.gate.injected[death] += 1

    def _call(self, job: Job, worker: Worker, segment: int) -> bool:
        if worker.death == KILLED and self.nursery is not None:
            ahead = (self.shop.clock() - datetime.now(self.shop.clock().tzinfo)).total_seconds()
            answer = self.nursery.call(self.shop.gate, worker, self.shop.engine, self.shop.settings, segment, ahead)
            if answer is None:
                raise WorkerGone
            return answer
        end = time.monotonic() + job.call_seconds
        if job.call_seconds < 10:
            self.shop.gate.inject(SHORT_CALL, worker.name)
        with self.shop.engine.gated(self.shop.gate, worker) as client:
            services = self._services(job, worker, client, job.ahead_seconds)
            return update_segment(services, job.name, segment, lambda: end - time.monotonic())

    def _call_twice(self, job: Job, worker: Worker, segment: int) -> bool:
        """The same invocation twice at the same time; the second one's answer is heard by nobody."""
        self.shop.gate.in_doubt.add(job.name)
        self.shop.gate.inject(DOUBLED, worker.name)
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
