"""A deployed stack as far as the jobs' verbs need it: Step Functions, the jobs table, the scheduler."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from botocore.exceptions import ClientError

from inventory_updater.stock.times import read_time
from inventory_updater.tables.records import Failure, JobStatus, Run, Segment, SettledChange
from tests.fakes.scheduler import GROUP, FakeScheduler

JOB_ID: Final = "manual-20260105T120000Z-ab12"
AT_NOON: Final = "2026-01-05T12:00:00.000000Z"
MACHINE_ARN: Final = "arn:aws:states:eu-west-1:123456789012:stateMachine:inventory-updater-shop"


def run_record(status: JobStatus = JobStatus.RUNNING, **figures: Any) -> Run:
    usual = Run(JOB_ID, status, "due", "manual", as_of=AT_NOON, started_at=AT_NOON, segments=2)
    return replace(usual, **figures)


def refused(code: str, operation: str = "DescribeExecution") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, operation)


@dataclass
class FakeDeployment:
    """Of the job that is watched, each answer in turn, the last one for ever."""

    executions: list[str | Exception] = field(default_factory=lambda: [refused("ExecutionDoesNotExist")])
    records: list[Run | None] = field(default_factory=lambda: [None])
    segments_there: Sequence[Segment] = ()
    failures_there: Sequence[Failure] = ()
    settled_there: Sequence[SettledChange] = ()
    listed: Sequence[Run] = ()
    running: Sequence[str] | ClientError = ()
    scheduler: FakeScheduler = field(default_factory=lambda: FakeScheduler(due="ENABLED", all="ENABLED"))
    started: list[dict[str, str]] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    slept: float = 0.0

    def start_execution(self, **request: str) -> None:
        self.started.append(request)

    def describe_execution(self, executionArn: str) -> dict[str, object]:  # noqa: N803  # AWS's name
        self.asked_for.append(executionArn)
        answer = _next(self.executions)
        if isinstance(answer, Exception):
            raise answer
        found = {"status": answer, "startDate": read_time(AT_NOON), "input": '{"scope":"all","trigger":"schedule"}'}
        return found | ({"error": "Oh", "cause": "no"} if answer == "FAILED" else {})

    def get_paginator(self, operation: str) -> "FakeDeployment":
        assert operation == "list_executions"
        return self

    def paginate(self, *, stateMachineArn: str, statusFilter: str) -> Iterator[Any]:  # noqa: N803
        assert (stateMachineArn, statusFilter) == (MACHINE_ARN, "RUNNING")
        if isinstance(self.running, ClientError):
            raise self.running
        yield from ({"executions": [{"name": name}]} for name in self.running)

    def run(self, _job_id: str) -> Run | None:
        record: Run | None = _next(self.records)
        return record

    def runs(self, limit: int) -> Iterator[Run]:
        return iter(self.listed[:limit])

    def segments(self, _job_id: str, _count: int) -> Sequence[Segment]:
        return self.segments_there

    def failures(self, _job_id: str) -> Iterator[Failure]:
        return iter(self.failures_there)

    def settled(self, _job_id: str) -> Iterator[SettledChange]:
        return iter(self.settled_there)

    # It is each of the services itself.
    def step_functions(self) -> "FakeDeployment":
        return self

    jobs = step_functions
    session = property(step_functions)

    def client(self, service: str) -> FakeScheduler:
        assert service == "scheduler"
        return self.scheduler

    def output(self, name: str) -> str:
        return {"StateMachineArn": MACHINE_ARN, "ScheduleGroupName": GROUP, "Environment": "shop"}[name]

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def _next(answers: list[Any]) -> Any:
    return answers.pop(0) if len(answers) > 1 else answers[0]
