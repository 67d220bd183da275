"""Drives jobs: each is an execution of the template's own state machine, with whatever is to happen to its steps."""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import update_segment
from inventory_updater.reports.reporter import Reporter
from inventory_updater.reports.results import ResultsTopic
from inventory_updater.tables.inventory_table import InventoryTable
from inventory_updater.tables.job_table import JobTable
from tests.cloudformation import properties
from tests.faults.asl import Execution, TaskError
from tests.faults.findings import Finding
from tests.faults.gate import BATCH, Worker, WorkerGone
from tests.faults.model import Key
from tests.faults.proxy import Nursery
from tests.faults.small_shop import SmallShop

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KILLED: Final = "worker killed (SIGKILL) in mid-page"
TIMED_OUT: Final = "Lambda timed out in mid-page"
NOT_INVOKED: Final = "function not invoked: Lambda throttled"
DOUBLED: Final = "duplicate invocation of a segment at once"
TWO_JOBS: Final = "two jobs started together"
LEASE_EXPIRED: Final = "lease expired under a slow worker"
CLOCK_OFF: Final = "clock that is off"
SHORT_CALL: Final = "call without time for the segment"
ABORTED: Final = "job stopped without closing"
STOPPED: Final = "job stopped by an operator"
FIRED_TWICE: Final = "schedule fired twice"
NOT_FIRED: Final = "schedule did not fire"
METRICS: Final = "metrics publishing failed"
ALERTS: Final = "alert publishing failed"
RESULTS: Final = "result publishing failed"

FAULTS_OF_WORKERS: Final = (
    *(KILLED, TIMED_OUT, NOT_INVOKED, DOUBLED, TWO_JOBS, LEASE_EXPIRED, CLOCK_OFF, SHORT_CALL, ABORTED, STOPPED),
    *(FIRED_TWICE, NOT_FIRED),
)
FAULTS_OF_PUBLISHING: Final = (METRICS, ALERTS, RESULTS)

SMALL_JOB: Final = "a job was settled in its opening"

RESULTS_ARN: Final = "arn:aws:sns:eu-west-1:123456789012:results"

_CALM_AFTER: Final = 2
"""Of the four times that a step is tried, the last two are not disturbed: so every execution comes to its end."""


class ExecutionStopped(BaseException):
    """Somebody stops the execution: no further step is taken."""


@dataclass
class Job:
    """One job of a round and what is to happen to it."""

    request: JobRequest
    input: Mapping[str, str]
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
    throttles_for_good: frozenset[tuple[str, Key]] = frozenset()
    index: Sequence[Mapping[str, Any]] | None = None
    began: int = 0
    outcome: str = ""
    ended: str = ""
    """The state in which its execution ended; empty where it was stopped."""
    answered: threading.Event = field(default_factory=threading.Event)
    calls: Counter[str] = field(default_factory=Counter)
    published: int = 0
    alerts: int = 0
    results: Counter[str] = field(default_factory=Counter)
    """How often it has published the result of each job, its own and that of one before it."""

    @property
    def name(self) -> str:
        return self.request.job_id


class Publishing:
    """Stands for CloudWatch and SNS in one step of a job: counts, or fails."""

    def __init__(self, shop: SmallShop, job: Job, worker: Worker, rate: float) -> None:
        self._shop = shop
        self._job = job
        self._worker = worker
        self._rate = rate

    def put_metric_data(self, **_request: Any) -> None:
        self._may_fail(METRICS)
        self._job.published += 1

    def publish(self, **request: Any) -> None:
        if request["TopicArn"] == RESULTS_ARN:
            self._may_fail(RESULTS)
            self._job.results[json.loads(request["Message"])["job_id"]] += 1
        else:
            self._may_fail(ALERTS)
            self._job.alerts += 1

    def _may_fail(self, fault: str) -> None:
        if self._shop.gate.random(self._worker.name, fault).random() < self._rate:
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
        return self._new_job({"scope": scope, "as_of": as_of}, plans)

    def scheduled_job(self, **plans: Any) -> Job:
        """A job as the template's schedule starts it."""
        return self._new_job(json.loads(properties("DueSchedule")["Target"]["Input"]), plans)

    def _new_job(self, wanted: Mapping[str, str], plans: Mapping[str, Any]) -> Job:
        name = f"run-{self.shop.number}-{len(self.jobs) + 1}"
        self.jobs.append(Job(JobRequest.from_input(name, self.shop.now(), wanted), wanted, **plans))
        return self.jobs[-1]

    def drive(self, job: Job) -> None:
        """Take a job through the state machine."""
        request = job.request
        job.began = self.shop.gate.model.moment
        self.shop.gate.note({"event": "run", "run": job.name, "scope": request.scope, "as_of": request.as_of})
        execution = Execution(
            {"Execution": {"Name": job.name, "StartTime": request.started_at, "Input": job.input}},
            lambda payload, retries: self._invoked(job, payload, retries),
            lambda _seconds: time.sleep(0.05),
        )
        try:
            job.ended = execution.run()
        except ExecutionStopped:
            self.shop.gate.in_doubt.add(job.name)
            self.shop.gate.inject(ABORTED, job.name)
        except TaskError as error:
            job.ended = f"failed: {error.name}"
        finally:
            job.answered.set()
        self.shop.gate.note({"event": "closed", "run": job.name, "ended": job.ended})

    def _invoked(self, job: Job, payload: Mapping[str, Any], retries: int) -> Any:
        """One invocation of the function."""
        step = payload["action"] + (f"-{payload['segment']}" if "segment" in payload else "")
        call = job.calls[step]
        job.calls[step] += 1
        is_update = payload["action"] == "update"
        is_calm = retries >= _CALM_AFTER and not is_update
        if job.is_aborted and (payload["action"] == "close" or (is_update and call)):
            raise ExecutionStopped
        worker = self._worker(job, f"{step}/{call}", is_calm=is_calm)
        if self.shop.gate.random(worker.name, "invoked").random() < worker.rate / 2:
            self.shop.gate.inject(NOT_INVOKED, worker.name)
            raise TaskError("Lambda.TooManyRequestsException")
        try:
            if is_update:
                return {"done": self._update(job, worker, payload["segment"], call)}
            return self._open_or_close(job, worker, payload, 0.0 if is_calm else job.publishing)
        except WorkerGone:
            raise TaskError("Lambda.Unknown" if worker.death == KILLED else "Sandbox.Timedout") from None
        except Exception as error:
            if is_update:
                self.shop.gate.in_doubt.add(job.name)
                self.shop.findings.outcomes[type(error).__name__] += 1
            elif is_calm:
                self.shop.gate.find(f"{worker.name} failed without a fault: {error!r}", Finding.BROKEN_OFF)
            raise TaskError(type(error).__name__, str(error)) from error

    def _worker(self, job: Job, step: str, *, is_calm: bool) -> Worker:
        worker = Worker(f"{job.name}/{step}", run=job.name, as_of=job.request.as_of, index=job.index)
        worker.throttles_for_good = job.throttles_for_good
        if not is_calm:
            worker.rate, worker.statement_rate, worker.only = job.rate, job.statement_rate, job.only
            worker.beside = self.shop.beside(job.beside) if job.beside else None
            worker.on_batch = job.on_batch
        return worker

    def _services(self, job: Job, worker: Worker, client: "DynamoDBClient", publishing_rate: float) -> Services:
        publishing: Any = Publishing(self.shop, job, worker, publishing_rate)
        settings = self.shop.settings

        def clock() -> datetime:
            return self.shop.clock() + timedelta(seconds=job.ahead_seconds)

        return Services(
            client,
            InventoryTable(client, settings.inventory_table),
            self.shop.change_table(client),
            JobTable(client, settings.jobs_table, retention_days=30, clock=clock, sleep=lambda _seconds: None),
            Reporter(
                *("test", publishing, publishing, settings.alert_topic_arn),
                results=ResultsTopic(publishing, RESULTS_ARN),
            ),
            settings,
            clock=clock,
        )

    def _open_or_close(self, job: Job, worker: Worker, payload: Mapping[str, Any], publishing: float) -> Any:
        if worker.rate and job.deaths and self.shop.gate.random(worker.name, "dies").random() < 0.5:
            self._condemn(worker, TIMED_OUT)
        request = JobRequest.from_input(payload["job_id"], payload["started_at"], payload["input"])
        end = time.monotonic() + job.call_seconds
        with self.shop.engine.gated(self.shop.gate, worker) as client:
            services = self._services(job, worker, client, publishing)
            if payload["action"] == "close":
                error = payload["error"]["Error"]
                return {"status": close_job(services, request, error, lambda: end - time.monotonic()).value}
            opened = open_job(services, request, lambda: end - time.monotonic())
        job.outcome = opened["outcome"]
        if job.outcome == "DONE":
            self.shop.gate.reached[SMALL_JOB] += 1
        job.answered.set()
        return opened

    def _update(self, job: Job, worker: Worker, segment: int, call: int) -> bool:
        if job.doubles and self.shop.gate.random(worker.name, "doubled").random() < 0.5:
            return self._call_twice(job, worker, segment)
        if call < job.deaths:
            self._condemn(worker, job.death)
        return self._call(job, worker, segment)

    def _condemn(self, worker: Worker, death: str) -> None:
        generator = self.shop.gate.random(worker.name, "death")
        operation, latest = generator.choice([*[(BATCH, 4)] * 4, ("PutItem", 2), ("Query", 20), ("BatchGetItem", 4)])
        worker.dies_at = (operation, generator.randint(1, latest), generator.random() < 0.5)
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
            services = self._services(job, worker, client, 0.0)
            return update_segment(services, job.name, segment, lambda: end - time.monotonic())

    def _call_twice(self, job: Job, worker: Worker, segment: int) -> bool:
        """The same invocation twice at the same time; the second one's answer is heard by nobody."""
        self.shop.gate.in_doubt.add(job.name)
        self.shop.gate.inject(DOUBLED, worker.name)
        second = replace(worker, name=f"{worker.name}/again", seen=Counter(), asked=Counter(), planned={})

        def call_again() -> None:
            with contextlib.suppress(Exception, WorkerGone):
                self._call(job, second, segment)

        twin = threading.Thread(target=call_again)
        twin.start()
        try:
            return self._call(job, worker, segment)
        finally:
            twin.join()
