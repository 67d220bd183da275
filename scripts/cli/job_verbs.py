"""Jobs: run one and watch it, list them, show one with its failures, stop one; pause the schedules and resume them."""

import argparse
import re
import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import Final

from botocore.exceptions import ClientError
from rich.live import Live

from cli.command_line import CommandLine, filled, time_of
from cli.deployments import Deployment, find_deployment, now
from cli.errors import InputError, explain
from cli.exit_codes import EXIT_COMPLETED_WITH_FAILURES, EXIT_DONE, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_SKIPPED
from cli.job_screens import FAILURE_COLUMNS, JOB_COLUMNS, SETTLED_COLUMNS, headline, job_row, job_screen, live_screen
from cli.output import console_of, note, print_answer, print_json, print_rows, print_screen, view_of
from cli.pausing import Schedules, ScheduleState, schedules_of
from cli.previewing import add_job_preview
from cli.watching import Observation, Observer, executions_of
from inventory_updater.jobs.closing import abandon_job
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.settings import Settings
from inventory_updater.reports.reporter import Reporter
from inventory_updater.stock.times import format_time, parse_time
from inventory_updater.tables.job_table import JobTable
from inventory_updater.tables.records import JobStatus

EXIT_CODES: Final = {
    "SUCCEEDED": EXIT_DONE,
    "COMPLETED_WITH_FAILURES": EXIT_COMPLETED_WITH_FAILURES,
    "SKIPPED": EXIT_SKIPPED,
}
"""By a job's status; any other is a failure."""
NOT_FAILED: Final = frozenset({"SUCCEEDED", "SKIPPED", "RUNNING", "WAITING", "UNKNOWN"})

ROWS_SHOWN: Final = 100
SECONDS_BETWEEN_LINES: Final = 10.0

# A worker looks every second whether its job goes on, and a batch takes a moment.
_LOOKS_AT_WORKERS: Final = 20
_SECONDS_BETWEEN_LOOKS: Final = 0.5

_REMARKS: Final = {
    ScheduleState.PAUSED: "paused: {} (until job.py resume)",
    ScheduleState.DISABLED: "off: {} (by parameter, or by hand)",
}
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def run(options: argparse.Namespace) -> int:
    job_input: dict[str, object] = {"scope": options.scope, "trigger": "manual"}
    if options.as_of is not None:
        job_input["as_of"] = _as_of(options.as_of)
    deployment = find_deployment(options)
    job_id = f"manual-{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    try:
        executions_of(deployment).start(job_id, job_input)
        seen = _watched(deployment, job_id, options)
    except KeyboardInterrupt:
        _say_how_to_follow(job_id, options)
        return EXIT_INTERRUPTED
    if options.json:
        print_json(seen.as_document(), options)
    else:
        print_screen(job_screen(seen, view_of(options)), view_of(options))
    return _exit_code(seen)


def _exit_code(seen: Observation) -> int:
    return EXIT_CODES.get(seen.status, EXIT_FAILED)


def _as_of(text: str) -> str:
    as_of = time_of("--as-of", text)
    if as_of > now():
        raise InputError(f"--as-of: {text} lies in the future: nothing is applied before its time")
    return as_of


def _watched(deployment: Deployment, job_id: str, options: argparse.Namespace) -> Observation:
    """Show the job's progress until it has ended, and return how it ended."""
    try:
        with _display(options) as show_progress:
            for seen in Observer(deployment).watch(job_id):
                show_progress(seen)
    except Exception:
        _say_how_to_follow(job_id, options)
        raise
    return seen


@contextmanager
def _display(options: argparse.Namespace) -> Iterator[Callable[[Observation], None]]:
    """What shows an observation: a screen that changes in place on a terminal, now and then a line elsewhere."""
    console = console_of(is_error=True)
    if console.is_terminal:
        view = view_of(options, is_error=True)
        console.width = view.columns
        with Live(console=console, transient=True) as live:
            yield lambda seen: live.update(live_screen(seen, view, datetime.now(UTC)), refresh=True)
        return
    next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def print_now_and_then(seen: Observation) -> None:
        nonlocal next_line
        if time.monotonic() >= next_line:
            next_line = time.monotonic() + SECONDS_BETWEEN_LINES
            note(headline(seen, datetime.now(UTC)))

    yield print_now_and_then


def _say_how_to_follow(job_id: str, options: argparse.Namespace) -> None:
    command = [".venv/bin/python", "scripts/job.py", "show", job_id, "--follow"]
    if options.local:
        command.append("--local")
    if options.stack:
        command += ["--stack", options.stack]
    print(f"job {job_id} goes on; follow it with:\n  {shlex.join(command)}", file=sys.stderr)


def list_jobs(options: argparse.Namespace) -> None:
    if options.limit < 1:
        raise InputError("--limit: at least 1 job")
    deployment = find_deployment(options)
    jobs = list(islice(_chosen(deployment, options), options.limit))
    states = _states_to_tell(schedules_of(deployment))
    if options.json:
        print_json({"jobs": [seen.as_document() for seen in jobs], "schedules": states}, options)
        return
    print_rows(JOB_COLUMNS, map(job_row, jobs), options)
    for state, remark in _REMARKS.items():
        if scopes := [scope for scope, is_now in (states or {}).items() if is_now is state]:
            print(remark.format(", ".join(scopes)), file=sys.stderr if options.csv else sys.stdout)


def _chosen(deployment: Deployment, options: argparse.Namespace) -> Iterator[Observation]:
    """The jobs that --failed, --scope and --since choose, the newest first."""
    jobs = Observer(deployment).newest_first()
    if options.since is not None:
        jobs = takewhile(lambda seen: (seen.started_at or options.since) >= options.since, jobs)
    for seen in jobs:
        if (not options.failed or seen.status not in NOT_FAILED) and options.scope in (None, seen.scope):
            yield seen


def _since(text: str) -> str:
    if given := re.fullmatch(r"(\d{1,5})([mhdw])", text, re.ASCII):
        return format_time(datetime.now(UTC) - int(given[1]) * _UNITS[given[2]])
    try:
        return parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration like 90m, 12h, 2d or 1w, and {error}") from None


def _states_to_tell(schedules: Schedules) -> dict[str, ScheduleState] | None:
    """The states of the schedules; None, said on standard error, where they cannot be read: the jobs can."""
    try:
        return schedules.states()
    except ClientError as error:
        note(f"note: whether the schedules are on is not known: {explain(error)}")
        return None


def show(options: argparse.Namespace) -> int:
    deployment = find_deployment(options)
    seen = _existing(deployment, options.job_id) if options.job_id else _latest(deployment, options)
    if seen.is_running and options.follow:
        try:
            seen = _watched(deployment, seen.job_id, options)
        except KeyboardInterrupt:
            _say_how_to_follow(seen.job_id, options)
            return EXIT_INTERRUPTED
    name, columns, title, rows = _listing(deployment, seen.job_id, wants_changes=options.changes)
    if options.json:
        print_json({**seen.as_document(), name: [dict(zip(columns, row, strict=True)) for row in rows]}, options)
    elif options.csv:
        print_rows(columns, rows, options)
    else:
        print_screen(job_screen(seen, view_of(options)), view_of(options))
        shown = rows if options.all else rows[:ROWS_SHOWN]
        if rows:
            print()
            print_rows(columns, shown, options, title)
        if len(shown) < len(rows):
            print(f"{len(rows) - len(shown):,} more are recorded: --all shows them")
    return _exit_code(seen) if options.follow else EXIT_DONE


def _listing(
    deployment: Deployment, job_id: str, *, wants_changes: bool
) -> tuple[str, Sequence[str], str, Sequence[tuple[object, ...]]]:
    """What of a job is listed below it: its name in a document, columns, title and rows."""
    jobs = deployment.jobs()
    if wants_changes:
        settled = [(*each.key, each.change_id, each.outcome) for each in jobs.settled(job_id)]
        return "changes", SETTLED_COLUMNS, "Settled changes", settled
    failures = [astuple(failure) for failure in jobs.failures(job_id)]
    return "failures", FAILURE_COLUMNS, "Failures, rejected changes and findings", failures


def _existing(deployment: Deployment, job_id: str) -> Observation:
    seen = Observer(deployment).observe(job_id)
    if seen.run is None and seen.execution.status is None:
        raise InputError(f"there is no job {job_id}")
    return seen


def _latest(deployment: Deployment, options: argparse.Namespace) -> Observation:
    for seen in _chosen(deployment, options):
        return _existing(deployment, seen.job_id)
    raise InputError("no job has failed" if options.failed else "there is no job yet")


def stop(options: argparse.Namespace) -> None:
    deployment = find_deployment(options)
    seen = _existing(deployment, options.job_id)
    if not seen.is_executing and (seen.run is None or seen.is_settled):
        raise InputError(f"job {options.job_id} has ended already: {seen.status}")
    reason = f"stopped by {deployment.caller()}"
    jobs = deployment.jobs()
    jobs.request_stop(options.job_id, reason)
    if seen.is_executing:
        executions_of(deployment).stop(options.job_id, reason)
    wait_for_workers(jobs, options.job_id, time.sleep)
    settled = abandon_job(_services(deployment), options.job_id, reason)
    # Systems hear of it from the next job: nobody but the function may publish how a job ended.
    jobs.free_lease(options.job_id, is_owed=settled is not None and settled.was_stopped)
    status = "ABORTED" if settled is None else settled.status.value
    if settled is None:
        sentence = f"job {options.job_id} was stopped before it began"
    elif settled.status is JobStatus.ABANDONED:
        sentence = f"job {options.job_id} is stopped: {status}, {reason}"
    else:
        sentence = f"job {options.job_id} had just ended by itself: {status}"
    print_answer({"job_id": options.job_id, "status": status}, sentence, options)


def wait_for_workers(jobs: JobTable, job_id: str, sleep: Callable[[float], None]) -> None:
    """Wait until the workers that are still there have seen that they are to stop: then the tally is exact."""
    for _ in range(_LOOKS_AT_WORKERS):
        run = jobs.run(job_id)
        if run is None or run.is_settled or not any(each.call_is_open for each in jobs.segments(job_id, run.segments)):
            return
        sleep(_SECONDS_BETWEEN_LOOKS)


def pause(options: argparse.Namespace) -> None:
    before = schedules_of(find_deployment(options)).pause()
    sentences = {
        ScheduleState.ENABLED: "paused",
        ScheduleState.PAUSED: "was paused already",
        ScheduleState.DISABLED: "was off already, by its parameter or by hand: resume will leave it off",
    }
    _report_schedules(options, before, {ScheduleState.ENABLED: ScheduleState.PAUSED}, sentences)


def resume(options: argparse.Namespace) -> None:
    before = schedules_of(find_deployment(options)).resume()
    sentences = {
        ScheduleState.ENABLED: "was on already",
        ScheduleState.PAUSED: "on again",
        ScheduleState.DISABLED: "stays off: it was not paused, but switched off by its parameter or by hand",
    }
    _report_schedules(options, before, {ScheduleState.PAUSED: ScheduleState.ENABLED}, sentences)


def _report_schedules(
    options: argparse.Namespace,
    before: Mapping[str, ScheduleState],
    step: Mapping[ScheduleState, ScheduleState],
    sentences: Mapping[ScheduleState, str],
) -> None:
    """Print what has become of each schedule; `step` says which state has become which."""
    document = {
        "schedules": {scope: step.get(state, state) for scope, state in before.items()},
        "changed": [scope for scope, state in before.items() if state in step],
    }
    print_answer(document, "\n".join(f"{scope}: {sentences[state]}" for scope, state in before.items()), options)


def _services(deployment: Deployment) -> Services:
    """What settling a job needs; nothing of it depends on the function's own settings."""
    return Services(
        dynamodb=deployment.dynamodb(),
        inventory=deployment.inventory(),
        changes=deployment.changes(),
        jobs=deployment.jobs(),
        reports=Reporter(deployment.output("Environment"), deployment.session.client("cloudwatch")),
        settings=Settings(
            environment=deployment.output("Environment"),
            inventory_table=deployment.output("InventoryTableName"),
            changes_table=deployment.output("ChangesTableName"),
            jobs_table=deployment.output("JobsTableName"),
        ),
    )


def commands() -> CommandLine:
    line = CommandLine(
        "Run a job and watch it, list jobs, show one with its failures, stop one; pause the schedules and resume them."
    )
    verb = line.add_verb("run", run, "run a job and watch it to its end", "Ctrl-C stops watching; the job goes on.")
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

    add_job_preview(line)

    verb = line.add_verb(
        "list", list_jobs, "list the latest jobs, those that wait too, and which schedules are off", has_rows=True
    )
    verb.add_argument(
        "--failed", action="store_true", help="only those that did not succeed, and those that completed with failures"
    )
    verb.add_argument("--scope", choices=("due", "all"), help="only those of this scope")
    verb.add_argument(
        "--since", type=_since, metavar="WHEN", help="only those that started since: 90m, 12h, 2d, 1w, or a time"
    )
    verb.add_argument("--limit", type=int, default=25, metavar="N", help="how many (default: 25)")

    verb = line.add_verb(
        "show",
        show,
        "show a job, its progress and its failures",
        "With --csv: only the failures, or the changes.",
        has_rows=True,
    )
    which = verb.add_mutually_exclusive_group()
    which.add_argument("job_id", nargs="?", type=filled, metavar="JOB_ID", help="which one (default: the latest)")
    which.add_argument("--failed", action="store_true", help="the latest one that failed or completed with failures")
    verb.add_argument("--follow", action="store_true", help="watch it to its end, and end with its exit code")
    verb.add_argument("--changes", action="store_true", help="the changes that it settled instead of its failures")
    verb.add_argument("--all", action="store_true", help=f"show more than the first {ROWS_SHOWN} of them")
    verb.set_defaults(scope=None, since=None)

    verb = line.add_verb(
        "stop",
        stop,
        "stop a job",
        "Its workers write no further batch, its record is settled as ABANDONED with what was written, and the next "
        "job may begin. What it has applied stays applied.",
    )
    verb.add_argument("job_id", type=filled, metavar="JOB_ID")

    line.add_verb(
        "pause",
        pause,
        "switch both schedules off, without a deployment",
        "A job that runs goes on to its end. A deployment leaves them off.",
    )
    line.add_verb(
        "resume",
        resume,
        "switch on again what was paused",
        "A schedule that is off by its parameter, or was switched off by hand, stays off.",
    )
    return line
