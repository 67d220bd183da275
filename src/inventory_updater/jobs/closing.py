"""The job: open it, have its segments updated, close it.

Each step may be repeated: what is settled stays settled, and every step of closing is marked when it is done.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from typing import Literal, TypedDict

from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import SAMPLES_A_JOB, UnknownJobError, update_segment
from inventory_updater.reports import alerts as telemetry
from inventory_updater.stock.items import format_time, is_stored_time, parse_time, read_time
from inventory_updater.tables.inventory_table import Limits, Scope
from inventory_updater.tables.records import JobStatus, LastAlert, Run, Segment, Tally

_log = logging.getLogger(__name__)


class AlertError(Exception):
    """People could not be told; the RUN record says why."""


class BadRequestError(ValueError):
    """A job was asked for in a way that makes no sense; the message names the field."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What is to be done, by whom it was asked, and since when the job runs (stored times)."""

    job_id: str
    started_at: str
    scope: Scope
    as_of: str
    dry_run: bool = False
    trigger: str = "manual"

    @classmethod
    def from_input(cls, job_id: str, started_at: str, wanted: Mapping[str, object]) -> "JobRequest":
        """The request in an execution's input; ``as_of`` defaults to the execution's start.

        Raises:
            BadRequestError: naming the field that is missing, unknown or bad.
        """
        unknown = set(wanted) - {"scope", "as_of", "dry_run", "trigger"}
        if unknown:
            raise BadRequestError(f"input: unknown field {min(unknown)[:64]!r}")
        scope = wanted.get("scope")
        if scope not in ("due", "all"):
            raise BadRequestError('input: scope must be "due" or "all"')
        dry_run = wanted.get("dry_run", False)
        if not isinstance(dry_run, bool):
            raise BadRequestError("input: dry_run must be true or false")
        trigger = wanted.get("trigger", "manual")
        if trigger not in ("manual", "schedule"):
            raise BadRequestError('input: trigger must be "manual" or "schedule"')
        started = _time_of("started_at", started_at)
        as_of = started if wanted.get("as_of") is None else _time_of("input: as_of", wanted["as_of"])
        return cls(job_id, started, scope, as_of, dry_run, trigger)


class Opened(TypedDict, total=False):
    """What ``open_job`` answers: the segments to update where the outcome is ``OPENED``."""

    outcome: Literal["OPENED", "WAIT", "SKIPPED"]
    segments: list[int]


def open_job(services: Services, request: JobRequest) -> Opened:
    """Take the lease, write the RUN record and say which segments there are.

    Where another job holds the lease, scope ``due`` ends ``SKIPPED`` and scope ``all`` is told to wait, until it has
    waited ``all_wait_minutes``. A dry run needs no lease.
    """
    settings, jobs = services.settings, services.jobs
    existing = jobs.run(request.job_id)
    if existing is not None and existing.is_settled:
        # Stopped or abandoned meanwhile: nothing is left to update, and closing says how it ended.
        is_skipped = existing.status is JobStatus.SKIPPED
        return {"outcome": "SKIPPED"} if is_skipped else {"outcome": "OPENED", "segments": []}
    if not request.dry_run:
        lease = jobs.take_lease(request.job_id, settings.lease_seconds)
        if lease.holder != request.job_id:
            waited = services.clock() - read_time(request.started_at)
            if request.scope == "all" and waited < timedelta(minutes=settings.all_wait_minutes):
                _log.info("waiting for the lease", extra={"job_id": request.job_id, "holder": lease.holder})
                return {"outcome": "WAIT"}
            error = f"job {lease.holder} holds the lease until {lease.held_until}"
            skipped = replace(
                _new_run(services, request), status=JobStatus.SKIPPED, error=error, finished_at=services.now()
            )
            telemetry.log_run(jobs.start_run(skipped))
            return {"outcome": "SKIPPED"}
        for job_id in sorted(lease.displaced - {request.job_id}):
            _settle_displaced(services, job_id, f"found without a live lease by {request.job_id}")
    run = jobs.start_run(_new_run(services, request))
    return {"outcome": "OPENED", "segments": list(range(run.segments))}


def close_job(
    services: Services,
    request: JobRequest,
    error: str = "",
    seconds_left: Callable[[], float] = lambda: 60.0,
) -> JobStatus:
    """Settle the run, publish its metrics, alert people, free the lease.

    Each step is marked, so that a repeated close skips what is done.

    Args:
        services: what to work with.
        request: the job, as it was opened.
        error: what made the job end early; empty where nothing did.
        seconds_left: the time that remains for this call, in seconds.

    Raises:
        AlertError: where people could not be told, once everything else is done.
    """
    jobs = services.jobs
    run = jobs.run(request.job_id)
    if run is None:
        run = jobs.start_run(_new_run(services, request))
    if not run.is_settled:
        run = jobs.settle_run(_settled(services, run, error, seconds_left))
        telemetry.log_run(run)
    run = _publish_metrics_once(services, run)
    run = _alert(services, run)
    if not run.dry_run:
        jobs.free_lease(run.job_id)
    if run.alert_error and run.alerted_at is None:
        raise AlertError(run.alert_error)
    return run.status


def abandon_job(services: Services, job_id: str, reason: str) -> Run | None:
    """Settle a job that will not close itself as ``ABANDONED``; one that has ended already stays as it is.

    Returns:
        The run as it stands then; ``None`` where there is none.
    """
    run = services.jobs.run(job_id)
    if run is None or run.is_settled:
        return run
    segments = services.jobs.segments(run.job_id, run.segments)
    problems = [reason, *_recording_problems(segments)]
    abandoned = replace(
        _added_up(services, run, segments), status=JobStatus.ABANDONED, error="; ".join(problems)[:4000]
    )
    run = services.jobs.settle_run(abandoned)
    telemetry.log_run(run)
    return run


def run_job(
    services: Services,
    request: JobRequest,
    *,
    call_seconds: float | None = None,
) -> Run:
    """The whole job in this process: open, update every segment, close.

    Args:
        services: what to work with.
        request: the job.
        call_seconds: how long one update call may take, as a Lambda time-out would limit it; ``None`` for no limit.
    """
    outcome = open_job(services, request)
    if outcome["outcome"] == "OPENED":
        for number in outcome["segments"]:
            try:
                while not update_segment(services, request.job_id, number, _countdown(services, call_seconds)):
                    pass
            except Exception:  # noqa: BLE001  # a segment that fails does not stop the others
                # As in the state machine; closing finds this one unfinished.
                _log.exception("segment failed", extra={"job_id": request.job_id, "segment": number})
        close_job(services, request)
    run = services.jobs.run(request.job_id)
    if run is None:
        raise UnknownJobError(f"job {request.job_id} is waiting for the lease")
    return run


def _new_run(services: Services, request: JobRequest) -> Run:
    return Run(
        job_id=request.job_id,
        status=JobStatus.RUNNING,
        scope=request.scope,
        trigger=request.trigger,
        dry_run=request.dry_run,
        as_of=request.as_of,
        started_at=request.started_at,
        segments=services.settings.segments,
    )


def _added_up(services: Services, run: Run, segments: Sequence[Segment]) -> Run:
    """The run with its segments' tallies, as it would end now."""
    tally = sum((segment.tally for segment in segments), Tally())
    finished = services.clock()
    return replace(
        run,
        tally=tally,
        tally_is_exact=all(segment.tally_is_exact and not segment.call_is_open for segment in segments),
        failure_rate=tally.failure_rate,
        finished_at=format_time(finished),
        duration_seconds=max(0.0, (finished - read_time(run.started_at)).total_seconds()),
        samples=[sample for segment in segments for sample in segment.samples][:SAMPLES_A_JOB],
    )


def _recording_problems(segments: Iterable[Segment]) -> list[str]:
    """Why there are fewer failures on record than were counted."""
    return [
        f"segment {segment.number}: failures could not be recorded: {segment.recording_error}"
        for segment in segments
        if segment.recording_error
    ]


def _settled(services: Services, run: Run, error: str, seconds_left: Callable[[], float]) -> Run:
    """The run with its final status, from what its segments say."""
    segments = services.jobs.segments(run.job_id, run.segments)
    failed = [segment for segment in segments if not segment.is_done and not segment.was_cut_short]
    run = _added_up(services, run, segments)
    problems = [error] if error else []
    problems += [f"segment {segment.number}: {segment.error or 'never finished'}" for segment in failed]
    problems += _recording_problems(segments)
    was_cut_short = any(segment.was_cut_short for segment in segments)
    if was_cut_short:
        problems.append(f"stopped after {run.tally.calls:,} calls; the next job takes up what is left")
    if len(failed) == run.segments:
        status, run = JobStatus.FAILED, replace(run, failure_rate=100.0)
    elif failed or run.tally.items_failed or run.tally.changes_rejected:
        status = JobStatus.COMPLETED_WITH_FAILURES
    else:
        status = JobStatus.SUCCEEDED
    if (failed or was_cut_short) and not run.dry_run:
        unread = _oldest_overdue(services, run.as_of, seconds_left)
        run = replace(run, tally=run.tally + Tally(oldest_overdue=unread))
    return replace(run, status=status, error="; ".join(problems)[:4000] or None)


def _oldest_overdue(services: Services, as_of: str, seconds_left: Callable[[], float]) -> str | None:
    """The earliest change that is pending and due, as far as the index can be read in half of the time left."""
    enough = seconds_left() / 2
    limits = Limits(lambda: seconds_left() - enough)
    oldest: str | None = None
    try:
        for attributes in services.inventory.scan("due", as_of, limits=limits):
            next_change = attributes.get("next_change_at")
            if is_stored_time(next_change):
                oldest = next_change if oldest is None else min(oldest, next_change)
            if limits.seconds_left() <= 0:
                break
    except Exception:  # noqa: BLE001  # what made the segments fail may fail here too, and the job must close
        _log.exception("looking for overdue changes failed")
    return oldest


def _publish_metrics_once(services: Services, run: Run) -> Run:
    """Publish the metrics of a run that has any, unless that was done before; the run as it is marked then."""
    if not telemetry.has_metrics(run) or run.metrics_published_at is not None:
        return run
    data = telemetry.metric_data(run, services.settings.environment, services.clock())
    try:
        telemetry.publish_metrics(services.metrics, data)
    except Exception as error:  # noqa: BLE001  # metrics may be lost, but not silently, and the job must close
        _log.exception("publishing metrics failed", extra={"job_id": run.job_id})
        return services.jobs.mark_run(run, metrics_error=f"{type(error).__name__}: {error}"[:1000])
    return services.jobs.mark_run(run, metrics_published_at=services.now())


def _alert(services: Services, run: Run) -> Run:
    """Tell people about a run that did not end clean, unless the last job of its scope failed with just the same.

    What is not news is sent again only after ``alert_repeat_hours``.
    """
    settings, jobs = services.settings, services.jobs
    if services.alerts is None or run.dry_run or run.status is JobStatus.SKIPPED or run.alerted_at is not None:
        return run
    signature = telemetry.failure_signature(run)
    last = jobs.last_alert(run.scope)
    repeat_before = format_time(services.clock() - timedelta(hours=settings.alert_repeat_hours))
    is_news = bool(signature) and (signature != last.signature or last.sent_at < repeat_before)
    try:
        if is_news:
            failures = islice(jobs.failures(run.job_id), telemetry.FAILURES_AN_ALERT)
            alert = telemetry.alert_of(run, failures, settings.environment)
            telemetry.send_alert(services.alerts, settings.alert_topic_arn, alert)
    except Exception as error:  # noqa: BLE001  # the rest of closing comes first; close_job raises then
        _log.exception("alerting failed", extra={"job_id": run.job_id})
        return jobs.mark_run(run, alert_error=f"{type(error).__name__}: {error}"[:1000])
    if is_news or signature != last.signature:
        jobs.save_alert(run.scope, LastAlert(signature, services.now() if is_news else ""))
    return jobs.mark_run(run, alerted_at=services.now())


def _settle_displaced(services: Services, job_id: str, reason: str) -> None:
    """Settle a job that lost its lease without closing and report it; it stays on the lease until people are told."""
    run = abandon_job(services, job_id, reason)
    if run is not None and run.status is JobStatus.ABANDONED:
        run = _alert(services, _publish_metrics_once(services, run))
        if run.alert_error and run.alerted_at is None:
            return
    services.jobs.forget_displaced(job_id)


def _countdown(services: Services, seconds: float | None) -> Callable[[], float]:
    if seconds is None:
        return lambda: 900.0
    end = services.monotonic() + seconds
    return lambda: end - services.monotonic()


def _time_of(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadRequestError(f"{name} must be a time like 2026-01-31T08:00:00Z")
    try:
        return parse_time(value)
    except ValueError as error:
        raise BadRequestError(f"{name} {error}") from None
