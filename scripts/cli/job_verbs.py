"""Jobs: run one and watch it, list them, show one with its failures, stop one; pause the schedules and resume them."""

import argparse
import getpass
import json
import random
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from rich.console import Console
from rich.live import Live

from cli.command_line import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_SKIPPED,
    CommandLine,
    Deployment,
    InputError,
    error_console,
    explain,
    find_deployment,
    now,
    print_figures,
    print_json,
    print_table,
    table_of,
)
from cli.pausing import Schedules, ScheduleState
from inventory_updater.jobs.closing import abandon_job
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.times import parse_time
from inventory_updater.tables.records import Failure, JobStatus, Run, Segment, Tally

if TYPE_CHECKING:
    from types_boto3_stepfunctions import SFNClient

EXIT_CODES: Final = {
    "SUCCEEDED": EXIT_DONE,
    "COMPLETED_WITH_FAILURES": EXIT_DONE,
    "SKIPPED": EXIT_SKIPPED,
}
COUNTS: Final = (
    "items_scanned",
    "items_updated",
    "items_failed",
    "changes_applied",
    "changes_rejected",
    "changes_superseded",
)
FAILURES_SHOWN: Final = 100
_REMARKS: Final = {
    ScheduleState.PAUSED: "paused: {} (until job.py resume)",
    ScheduleState.DISABLED: "off: {} (by parameter, or by hand)",
}

FIRST_PAUSE_SECONDS: Final = 0.3
LONGEST_PAUSE_SECONDS: Final = 2.0
SECONDS_BETWEEN_LINES: Final = 10.0
PATIENCE_SECONDS: Final = 300.0
SETTLING_SECONDS: Final = 3.0
APPEARING_SECONDS: Final = 30.0

TRANSIENT_CODES: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Observation:
    """A job as it stands: its execution (None where AWS knows none), its RUN record and the progress of its segments.

    There is no RUN record before the job has been opened, which may take a while where another one holds the lease.
    """

    job_id: str
    execution_status: str | None
    execution_error: str | None
    run: Run | None
    segments: Sequence[Segment] = ()

    @property
    def status(self) -> str:
        """The job's status; the execution's where it ended and the job could not say so itself."""
        if self.run is None:
            return self.execution_status or "UNKNOWN"
        if self.run.is_settled or self.execution_status in (None, "RUNNING"):
            return self.run.status.value
        return str(self.execution_status)

    @property
    def is_running(self) -> bool:
        return self.status == JobStatus.RUNNING

    @property
    def is_unsettled(self) -> bool:
        """Whether no RUN record says how the job ended."""
        return self.run is None or not self.run.is_settled

    @property
    def tally(self) -> Tally:
        """What has been done so far."""
        if self.run is not None and self.run.is_settled:
            return self.run.tally
        return sum((segment.tally for segment in self.segments), Tally())

    @property
    def tally_is_exact(self) -> bool:
        if self.run is not None and self.run.is_settled:
            return self.run.tally_is_exact
        return all(segment.tally_is_exact for segment in self.segments)

    @property
    def error(self) -> str | None:
        return (self.run and self.run.error) or self.execution_error

    def as_document(self) -> dict[str, object]:
        tally = self.tally
        document: dict[str, object] = {
            "job_id": self.job_id,
            "status": self.status,
            "tally_is_exact": self.tally_is_exact,
            **{name: getattr(tally, name) for name in COUNTS},
            "conflicts": tally.conflicts,
            "throttles": tally.throttles,
            "calls": tally.calls,
            "read_units": tally.read_units,
            "write_units": tally.write_units,
            "error": self.error,
        }
        if self.run is not None:
            document |= {
                "scope": self.run.scope,
                "trigger": self.run.trigger,
                "dry_run": self.run.dry_run,
                "as_of": self.run.as_of,
                "started_at": self.run.started_at,
                "finished_at": self.run.finished_at,
                "duration_seconds": self.run.duration_seconds,
                "failure_rate": self.run.failure_rate,
            }
            if self.run.dry_run:
                document["samples"] = self.run.samples
        return document


class Executions:
    """The state machine's executions; a job is the execution of its name."""

    def __init__(self, client: "SFNClient", state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    def arn(self, job_id: str) -> str:
        return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{job_id}"

    def start(self, job_id: str, job_input: Mapping[str, object]) -> None:
        # Sent twice under the same name and with the same input, it is one execution.
        self._client.start_execution(stateMachineArn=self._state_machine_arn, name=job_id, input=json.dumps(job_input))

    def status_and_error(self, job_id: str) -> tuple[str | None, str | None]:
        """The status of an execution and why it failed; None where AWS knows none of this name (any more)."""
        try:
            execution = self._client.describe_execution(executionArn=self.arn(job_id))
        except ClientError as error:
            # A text that can be no execution's name is no valid ARN.
            if error.response["Error"]["Code"] in ("ExecutionDoesNotExist", "InvalidArn", "ValidationException"):
                return None, None
            raise
        parts = [part for part in (execution.get("error"), execution.get("cause")) if part]
        return execution["status"], ": ".join(parts) or None

    def stop(self, job_id: str, cause: str) -> None:
        self._client.stop_execution(executionArn=self.arn(job_id), error="Stopped", cause=cause)


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
        status, error = patiently(lambda: self._executions.status_and_error(job_id), self._sleep)
        run = patiently(lambda: self._jobs.run(job_id), self._sleep)
        segments: Sequence[Segment] = ()
        if run is not None and not run.is_settled:
            segments = patiently(lambda: self._jobs.segments(job_id, run.segments), self._sleep)
        return Observation(job_id, status, error, run, segments)

    def watch(self, job_id: str) -> Iterator[Observation]:
        """Yield the job as it stands, again and again until it has ended."""
        pause = FIRST_PAUSE_SECONDS
        waited = 0.0
        while True:
            seen = self.observe(job_id)
            # An execution that has just been started may not be there for DescribeExecution yet:
            # https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
            may_yet_appear = seen.execution_status is None and seen.is_unsettled and waited < APPEARING_SECONDS
            if seen.execution_status != "RUNNING" and not may_yet_appear:
                yield self._settled(seen)
                return
            yield seen
            self._sleep(pause)
            waited += pause
            pause = min(LONGEST_PAUSE_SECONDS, pause * 1.2)

    def _settled(self, seen: Observation) -> Observation:
        """Who stopped the execution may be about to settle the record."""
        waited = 0.0
        while seen.run is not None and seen.is_unsettled and waited < SETTLING_SECONDS:
            self._sleep(FIRST_PAUSE_SECONDS)
            waited += FIRST_PAUSE_SECONDS
            seen = self.observe(seen.job_id)
        return seen


def patiently(call: Callable[[], T], sleep: Callable[[float], None] = time.sleep) -> T:
    """The answer of `call`, asked again for some minutes while AWS throttles it or cannot be reached."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return call()
        except (ClientError, HTTPClientError, BotoConnectionError) as error:
            if not _is_transient(error) or time.monotonic() > deadline:
                raise
            sleep(random.uniform(0.5, 3.0))


def _is_transient(error: Exception) -> bool:
    return not isinstance(error, ClientError) or error.response["Error"]["Code"] in TRANSIENT_CODES


# Verbs


def run(options: argparse.Namespace) -> int:
    job_input: dict[str, object] = {"scope": options.scope, "trigger": "manual"}
    if options.as_of is not None:
        job_input["as_of"] = _as_of(options.as_of, is_meant=options.yes)
    if options.dry_run:
        job_input["dry_run"] = True
    deployment = find_deployment(options)
    job_id = f"manual-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    executions = executions_of(deployment)
    try:
        executions.start(job_id, job_input)
        seen = _watched(deployment, job_id, options)
    except KeyboardInterrupt:
        _say_how_to_follow(job_id, options)
        return EXIT_INTERRUPTED
    return _report(seen, options)


def _as_of(text: str, *, is_meant: bool) -> str:
    try:
        as_of = parse_time(text)
    except ValueError as error:
        raise InputError(f"--as-of: {text!r} {error}") from None
    if as_of > now() and not is_meant:
        raise InputError(
            f"--as-of: {text} lies in the future, so changes would be applied before their time; "
            "add --yes if this is what you want"
        )
    return as_of


def _watched(deployment: Deployment, job_id: str, options: argparse.Namespace) -> Observation:
    """Show the job's progress until it has ended, and return how it ended."""
    try:
        with _display(error_console()) as show_progress:
            for seen in Observer(deployment).watch(job_id):
                show_progress(seen)
    except Exception:
        _say_how_to_follow(job_id, options)
        raise
    return seen


@contextmanager
def _display(console: Console) -> Iterator[Callable[[Observation], None]]:
    """What shows an observation: a table that changes in place on a terminal, now and then a line elsewhere."""
    if console.is_terminal:
        with Live(console=console, transient=True) as live:
            yield lambda seen: live.update(table_of(*_progress(seen)), refresh=True)
        return
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def print_now_and_then(seen: Observation) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            console.print(_headline(seen))

    yield print_now_and_then


def _headline(seen: Observation) -> str:
    if seen.run is None:
        return f"Job {seen.job_id} waits to be opened"
    tally = seen.tally
    return (
        f"Job {seen.job_id}: {seen.status}, {tally.items_scanned:,} items scanned, {tally.items_updated:,} updated, "
        f"{tally.changes_applied:,} changes applied, {tally.changes_rejected:,} rejected"
    )


def _progress(seen: Observation) -> tuple[Sequence[str], Sequence[Sequence[object]], str]:
    """The columns, rows and title of the table of segments."""
    rows = [
        (segment.number, _state(segment), *(getattr(segment.tally, name) for name in COUNTS), segment.tally.calls)
        for segment in seen.segments
    ]
    return ("segment", "state", *COUNTS, "calls"), rows, _headline(seen)


def _state(segment: Segment) -> str:
    if segment.is_done:
        return "done"
    if segment.was_cut_short:
        return "cut short"
    if segment.error:
        return f"failed, to be tried again: {segment.error}"
    return "working" if segment.call else "to begin"


def _say_how_to_follow(job_id: str, options: argparse.Namespace) -> None:
    command = [".venv/bin/python", "scripts/job.py", "show", job_id, "--follow"]
    if options.local:
        command.append("--local")
    if options.stack:
        command += ["--stack", options.stack]
    print(f"job {job_id} goes on; follow it with: {shlex.join(command)}", file=sys.stderr)


def _report(seen: Observation, options: argparse.Namespace) -> int:
    """Print how a job ended and return the exit code."""
    if options.json:
        print_json(seen.as_document())
    else:
        _print_job(seen)
    return EXIT_CODES.get(seen.status, EXIT_FAILED)


def _print_job(seen: Observation) -> None:
    tally, job = seen.tally, seen.run
    figures: list[tuple[str, object]] = [("status", seen.status)]
    if job is not None:
        figures += [
            ("scope", f"{job.scope} (dry run: nothing was written)" if job.dry_run else job.scope),
            ("as of", job.as_of),
            ("started", f"{job.started_at} ({job.trigger})"),
            ("finished", job.finished_at),
            ("seconds", job.duration_seconds),
        ]
    figures += [(name.replace("_", " "), getattr(tally, name)) for name in COUNTS]
    if not seen.tally_is_exact:
        figures.append(("tally", "lower bounds: a worker was lost before it could save its count"))
    if job is not None and job.is_settled:
        figures.append(("failure rate", f"{job.failure_rate:.1f} %"))
    figures += [
        ("conflicts", tally.conflicts or None),
        ("throttles", tally.throttles or None),
        ("read units", tally.read_units),
        ("write units", tally.write_units),
        ("error", seen.error),
    ]
    print_figures(figures, title=f"Job {seen.job_id}")
    if job is not None and job.samples:
        _print_samples(job)


def _print_samples(job: Run) -> None:
    rows: list[tuple[object, ...]] = []
    for sample in job.samples:
        before, after = sample.get("before"), sample.get("after")
        if isinstance(before, dict) and isinstance(after, dict):
            item = (sample.get("sku"), sample.get("location_id"))
            names = sorted({*before, *after} - {"version"})  # every write raises it
            rows += [(*item, name, before.get(name), after.get(name)) for name in names]
    print_table(("sku", "location_id", "figure", "before", "after"), rows, title="What the job would change (samples)")


def list_jobs(options: argparse.Namespace) -> int:
    if options.limit < 1:
        raise InputError("--limit: at least 1 job")
    deployment = find_deployment(options)
    runs = list(deployment.jobs().runs(options.limit))
    states = _states_to_tell(schedules_of(deployment))
    if options.json:
        jobs = [Observation(job.job_id, None, None, job).as_document() for job in runs]
        print_json({"jobs": jobs, "schedules": states})
        return EXIT_DONE
    print_table(
        (
            "job_id",
            "status",
            "scope",
            "trigger",
            "dry_run",
            "started_at",
            "seconds",
            "updated",
            "applied",
            "rejected",
            "failed",
        ),
        [
            (
                job.job_id,
                job.status.value,
                job.scope,
                job.trigger,
                job.dry_run,
                job.started_at,
                job.duration_seconds,
                job.tally.items_updated,
                job.tally.changes_applied,
                job.tally.changes_rejected,
                job.tally.items_failed,
            )
            for job in runs
        ],
    )
    for state, remark in _REMARKS.items():
        if scopes := [scope for scope, is_now in (states or {}).items() if is_now is state]:
            print(remark.format(", ".join(scopes)))
    return EXIT_DONE


def _states_to_tell(schedules: Schedules) -> dict[str, ScheduleState] | None:
    """The states of the schedules; None, said on standard error, where they cannot be read: the jobs can."""
    try:
        return schedules.states()
    except ClientError as error:
        print(f"note: whether the schedules are on is not known: {explain(error)}", file=sys.stderr)
        return None


def show(options: argparse.Namespace) -> int:
    deployment = find_deployment(options)
    seen = _existing(deployment, options.job_id)
    if seen.is_running and options.follow:
        try:
            seen = _watched(deployment, options.job_id, options)
        except KeyboardInterrupt:
            _say_how_to_follow(options.job_id, options)
            return EXIT_INTERRUPTED
    failures = list(deployment.jobs().failures(options.job_id))
    if options.json:
        print_json({**seen.as_document(), "failures": [_failure_document(failure) for failure in failures]})
    else:
        _print_job(seen)
        if seen.segments:
            print_table(*_progress(seen))
        if failures:
            _print_failures(failures, is_complete=options.all)
    return EXIT_CODES.get(seen.status, EXIT_FAILED) if options.follow else EXIT_DONE


def _existing(deployment: Deployment, job_id: str) -> Observation:
    seen = Observer(deployment).observe(job_id)
    if seen.run is None and seen.execution_status is None:
        raise InputError(f"there is no job {job_id}")
    return seen


def _failure_document(failure: Failure) -> dict[str, object]:
    return {
        "sku": failure.sku,
        "location_id": failure.location_id,
        "change_id": failure.change_id,
        "code": failure.code,
        "message": failure.message,
    }


def _print_failures(failures: Sequence[Failure], *, is_complete: bool) -> None:
    shown = failures if is_complete else failures[:FAILURES_SHOWN]
    print_table(
        ("sku", "location_id", "change_id", "code", "message"),
        [tuple(_failure_document(failure).values()) for failure in shown],
        title="Failures and rejected changes",
    )
    if len(shown) < len(failures):
        print(f"{len(failures) - len(shown):,} more are recorded: --all shows them")


def stop(options: argparse.Namespace) -> int:
    deployment = find_deployment(options)
    seen = _existing(deployment, options.job_id)
    if seen.execution_status != "RUNNING" and (seen.run is None or not seen.is_unsettled):
        raise InputError(f"job {options.job_id} has ended already: {seen.status}")
    reason = f"stopped by {_who(deployment)}"
    if seen.execution_status == "RUNNING":
        executions_of(deployment).stop(options.job_id, reason)
    services = _services(deployment)
    settled = abandon_job(services, options.job_id, reason)
    # A worker that is still under way finds its lease gone; until it looks, its conditional writes do no harm.
    services.jobs.free_lease(options.job_id)
    status = "ABORTED" if settled is None else settled.status.value
    if options.json:
        print_json({"job_id": options.job_id, "status": status})
    elif settled is None:
        print(f"job {options.job_id} was stopped before it began")
    elif settled.status is JobStatus.ABANDONED:
        print(f"job {options.job_id} is stopped: {status}, {reason}")
    else:
        print(f"job {options.job_id} had just ended by itself: {status}")
    return EXIT_DONE


def pause(options: argparse.Namespace) -> int:
    before = schedules_of(find_deployment(options)).pause()
    sentences = {
        ScheduleState.ENABLED: "paused",
        ScheduleState.PAUSED: "was paused already",
        ScheduleState.DISABLED: "was off already, by its parameter or by hand: resume will leave it off",
    }
    return _report_schedules(options, before, {ScheduleState.ENABLED: ScheduleState.PAUSED}, sentences)


def resume(options: argparse.Namespace) -> int:
    before = schedules_of(find_deployment(options)).resume()
    sentences = {
        ScheduleState.ENABLED: "was on already",
        ScheduleState.PAUSED: "on again",
        ScheduleState.DISABLED: "stays off: it was not paused, but switched off by its parameter or by hand",
    }
    return _report_schedules(options, before, {ScheduleState.PAUSED: ScheduleState.ENABLED}, sentences)


def _report_schedules(
    options: argparse.Namespace,
    before: Mapping[str, ScheduleState],
    step: Mapping[ScheduleState, ScheduleState],
    sentences: Mapping[ScheduleState, str],
) -> int:
    """Print what has become of each schedule; `step` says which state has become which."""
    if options.json:
        after = {scope: step.get(state, state) for scope, state in before.items()}
        print_json({"schedules": after, "changed": [scope for scope, state in before.items() if state in step]})
    else:
        for scope, state in before.items():
            print(f"{scope}: {sentences[state]}")
    return EXIT_DONE


def schedules_of(deployment: Deployment) -> Schedules:
    return Schedules(
        deployment.session.client("scheduler"),
        deployment.output("ScheduleGroupName"),
        deployment.output("Environment"),
    )


def _who(deployment: Deployment) -> str:
    try:
        return deployment.session.client("sts").get_caller_identity()["Arn"]
    except ClientError:
        return getpass.getuser()


def _services(deployment: Deployment) -> Services:
    """What settling a job needs; nothing of it depends on the function's own settings."""
    return Services(
        inventory=deployment.inventory(),
        jobs=deployment.jobs(),
        reports=Reporter(deployment.output("Environment"), deployment.session.client("cloudwatch")),
        settings=Settings(
            environment=deployment.output("Environment"),
            inventory_table=deployment.output("InventoryTableName"),
            jobs_table=deployment.output("JobsTableName"),
        ),
    )


def commands() -> CommandLine:
    line = CommandLine(
        "Run a job and watch it, list jobs, show one with its failures, stop one; pause the schedules and resume them."
    )
    verb = line.add_verb(
        "run",
        run,
        "run a job and watch it to its end",
        "Ctrl-C stops watching; the job goes on.",
    )
    verb.add_argument(
        "--scope",
        choices=("due", "all"),
        default="due",
        help="due: the items with changes that are due (default); all: every item, its derived figures repaired",
    )
    verb.add_argument(
        "--as-of",
        metavar="TIME",
        help="apply what is due up to and including this time (default: now); it may lie before an earlier job's",
    )
    verb.add_argument("--yes", action="store_true", help="a time in the future is meant")
    verb.add_argument("--dry-run", action="store_true", help="plan and count, but write nothing; shows samples")

    verb = line.add_verb("list", list_jobs, "list the latest jobs, and which schedules are off")
    verb.add_argument("--limit", type=int, default=25, metavar="N", help="how many (default: 25)")

    verb = line.add_verb("show", show, "show a job, its progress and its failures")
    verb.add_argument("job_id", metavar="JOB_ID")
    verb.add_argument("--follow", action="store_true", help="watch it to its end, and end with its exit code")
    verb.add_argument("--all", action="store_true", help=f"show more than the first {FAILURES_SHOWN} failures")

    verb = line.add_verb(
        "stop",
        stop,
        "stop a job",
        "Its execution ends, its record is settled as ABANDONED, and the next job may begin. What it has applied stays "
        "applied.",
    )
    verb.add_argument("job_id", metavar="JOB_ID")

    line.add_verb(
        "pause",
        pause,
        "switch both schedules off, without a deployment",
        "A job that runs goes on to its end. A deployment that changes a schedule switches it on again.",
    )
    line.add_verb(
        "resume",
        resume,
        "switch on again what was paused",
        "A schedule that is off by its parameter, or was switched off by hand, stays off.",
    )
    return line
