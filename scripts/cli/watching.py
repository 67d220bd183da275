"""What a job is at: its execution, its RUN record and its segments put together."""

import heapq
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ClientError

from cli.deployments import Deployment
from cli.errors import explain
from cli.output import note
from inventory_updater.dynamodb.pacing import Limits, patiently
from inventory_updater.stock.times import format_time
from inventory_updater.tables.records import JobStatus, Run, Segment, Tally

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

WAITING: Final = "WAITING"
"""The status of a job whose execution runs but that has not been opened yet, as where another one holds the lease."""

COUNTS: Final = (
    "items_scanned",
    "items_updated",
    "items_failed",
    "changes_applied",
    "changes_opened",
    "changes_rejected",
    "changes_superseded",
)

FINDINGS: Final = ("items_repaired", "items_negative")

COSTS: Final = ("conflicts", "throttles", "calls", "read_units", "write_units", "memory_used")

FIRST_PAUSE_SECONDS: Final = 0.3
LONGEST_PAUSE_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 300.0
SETTLING_SECONDS: Final = 3.0
STOPPING_SECONDS: Final = 15.0
APPEARING_SECONDS: Final = 30.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution as Step Functions describes it, without a status where it knows none; `started_at` is stored."""

    status: str | None = None
    error: str | None = None
    started_at: str | None = None
    input: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """A job as it is: its execution, its RUN record and the progress of its segments.

    There is no RUN record before the job has been opened, which may take a while where another one holds the lease.
    """

    job_id: str
    execution: Execution
    run: Run | None
    segments: Sequence[Segment] = ()

    @property
    def status(self) -> str:
        """The job's status; the execution's where it ended and the job could not say so itself."""
        if self.run is None:
            return WAITING if self.is_executing else self.execution.status or "UNKNOWN"
        if self.is_settled or self.is_executing or self.execution.status is None:
            return self.run.status.value
        return self.execution.status

    @property
    def is_running(self) -> bool:
        return self.status in (JobStatus.RUNNING, WAITING)

    @property
    def is_executing(self) -> bool:
        return self.execution.status == "RUNNING"

    @property
    def is_settled(self) -> bool:
        """Whether a RUN record says how the job ended."""
        return self.run is not None and self.run.is_settled

    @property
    def scope(self) -> object:
        return self.run.scope if self.run else self.execution.input.get("scope")

    @property
    def started_at(self) -> str | None:
        """When it was opened; before that, when its execution was started."""
        return (self.run.started_at if self.run else None) or self.execution.started_at

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        if self.run is not None and self.is_settled:
            return self.run.tally
        return sum((segment.tally for segment in self.segments), Tally())

    @property
    def tally_is_exact(self) -> bool:
        if self.run is not None and self.run.is_settled:
            return self.run.tally_is_exact
        return all(segment.tally_is_exact for segment in self.segments)

    @property
    def error(self) -> str | None:
        return (self.run.error if self.run else None) or self.execution.error

    def as_document(self) -> dict[str, object]:
        tally = self.tally
        document: dict[str, object] = {
            "job_id": self.job_id,
            "status": self.status,
            "scope": self.scope,
            "trigger": self.run.trigger if self.run else self.execution.input.get("trigger"),
            "started_at": self.started_at,
            "tally_is_exact": self.tally_is_exact,
            **{name: getattr(tally, name) for name in (*COUNTS, *FINDINGS, *COSTS)},
            "late_seconds": late_seconds(tally),
            "error": self.error,
        }
        if self.run is not None:
            names = ("as_of", "finished_at", "duration_seconds", "failure_rate")
            document |= {name: getattr(self.run, name) for name in names}
        return document


def late_seconds(tally: Tally) -> dict[str, float]:
    """How late changes took effect, in seconds."""
    late = tally.lateness
    return {"p50": late.quantile(0.5), "p99": late.quantile(0.99), "max": round(late.longest, 3)}


class Executions:
    """The state machine's executions; a job is the execution of its name."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def start(self, job_id: str, job_input: Mapping[str, object]) -> None:
        # Sent twice under the same name and with the same input, it is one execution.
        self._client.start_execution(stateMachineArn=self._state_machine_arn, name=job_id, input=json.dumps(job_input))

    def describe(self, job_id: str) -> Execution:
        """The execution of a job; an empty one where AWS knows none of this name (any more)."""
        try:
            found = self._client.describe_execution(executionArn=self._arn(job_id))
        except ClientError as error:
            # A text that can be no execution's name is no valid ARN.
            if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn", "ValidationException"):
                return Execution()
            raise
        parts = [part for part in (found.get("error"), found.get("cause")) if part]
        cause, started_at = ": ".join(parts) or None, format_time(found["startDate"])
        return Execution(found["status"], cause, started_at, json.loads(found.get("input", "{}")))

    def running(self) -> list[str]:
        """The jobs whose executions run."""
        pages = self._client.get_paginator("list_executions").paginate(
            stateMachineArn=self._state_machine_arn, statusFilter="RUNNING"
        )
        return [execution["name"] for page in pages for execution in page["executions"]]

    def stop(self, job_id: str, cause: str) -> None:
        self._client.stop_execution(executionArn=self._arn(job_id), error="Stopped", cause=cause)

    def _arn(self, job_id: str) -> str:
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{job_id}"


def executions_of(deployment: Deployment) -> Executions:
    return Executions(deployment.step_functions(), deployment.output("StateMachineArn"))


class Observer:
    """Looks at jobs of one deployment, and again where AWS is busy."""

    def __init__(self, deployment: Deployment, sleep: Callable[[float], None] = time.sleep) -> None:
        self._executions = executions_of(deployment)
        self._jobs = deployment.jobs()
        self._sleep = sleep

    def observe(self, job_id: str) -> Observation:
        # The execution first: once it has ended, the records read after it say how.
        execution = self._ask(lambda: self._executions.describe(job_id))
        run = self._ask(lambda: self._jobs.run(job_id))
        segments: Sequence[Segment] = ()
        if run is not None and not run.is_settled:
            segments = self._ask(lambda: self._jobs.segments(job_id, run.segments))
        return Observation(job_id, execution, run, segments)

    def _ask(self, call: Callable[[], T]) -> T:
        return patiently(call, replace(Limits.for_seconds(PATIENCE_SECONDS), sleep=self._sleep))

    def newest_first(self) -> Iterator[Observation]:
        """All jobs, also those that wait; the index of jobs does not know these, nor one that has just been opened."""
        running = {job_id: self.observe(job_id) for job_id in self._running()}
        others = (self._observed(run) for run in self._jobs.runs(sys.maxsize) if run.job_id not in running)
        newest = sorted(running.values(), key=_start, reverse=True)
        return heapq.merge(newest, others, key=_start, reverse=True)

    def _running(self) -> list[str]:
        try:
            return self._executions.running()
        except ClientError as error:
            note(f"note: which jobs wait is not known: {explain(error)}")
            return []

    def _observed(self, run: Run) -> Observation:
        return Observation(run.job_id, Execution(), run) if run.is_settled else self.observe(run.job_id)

    def watch(self, job_id: str) -> Iterator[Observation]:
        """Yield the job as it is, again and again until it has ended."""
        pause = FIRST_PAUSE_SECONDS
        waited = 0.0
        while True:
            seen = self.observe(job_id)
            # An execution that has just been started may not be there for DescribeExecution yet:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
            may_yet_appear = seen.execution.status is None and not seen.is_settled and waited < APPEARING_SECONDS
            if not seen.is_executing and not may_yet_appear:
                yield self._settled(seen)
                return
            yield seen
            self._sleep(pause)
            waited += pause
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.2)

    def _settled(self, seen: Observation) -> Observation:
        """Who stopped the execution may be about to settle the record."""
        waited = 0.0
        while seen.run is not None and not seen.is_settled:
            # Whoever stops a job waits for its workers first.
            if waited >= (STOPPING_SECONDS if seen.run.stop_reason else SETTLING_SECONDS):
                break
            self._sleep(FIRST_PAUSE_SECONDS)
            waited += FIRST_PAUSE_SECONDS
            seen = self.observe(seen.job_id)
        return seen


def _start(seen: Observation) -> str:
    return seen.started_at or ""
