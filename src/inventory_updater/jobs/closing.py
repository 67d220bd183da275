"""Closing a job: settle its run, publish its metrics, alert people, free the lease.

Each step may be repeated: what is settled stays settled, and every step of closing is marked when it is done.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import SAMPLES_A_JOB
from inventory_updater.stock.times import format_time, is_stored_time, read_time
from inventory_updater.tables.records import JobStatus, LastAlert, Run, Segment, Tally

_log = logging.getLogger(__name__)


class AlertError(Exception):
    """People could not be told; the RUN record says why."""


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
        run = jobs.start_run(request.new_run(services.settings.segments))
    if not run.is_settled:
        run = jobs.settle_run(_settled(services, run, error, seconds_left))
        services.reports.log(run)
    if run.has_finished and not run.dry_run:
        jobs.note_finish(run.scope, run.finished_at or services.now())
    run = publish_metrics_once(services, run)
    run = alert(services, run)
    if not run.dry_run:
        jobs.free_lease(run.job_id)
    if run.alert_is_owed:
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
    services.reports.log(run)
    return run


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


def publish_metrics_once(services: Services, run: Run) -> Run:
    """Publish the metrics of a run that has any, unless that was done before; the run as it is marked then."""
    if not run.has_metrics or run.metrics_published_at is not None:
        return run
    try:
        services.reports.publish_metrics(run, services.clock())
    except Exception as error:  # noqa: BLE001  # metrics may be lost, but not silently, and the job must close
        _log.exception("publishing metrics failed", extra={"job_id": run.job_id})
        return services.jobs.mark_run(run, metrics_error=f"{type(error).__name__}: {error}"[:1000])
    return services.jobs.mark_run(run, metrics_published_at=services.now())


def alert(services: Services, run: Run) -> Run:
    """Tell people about a run that did not end clean, unless the last job of its scope failed with just the same.

    What is not news is sent again only after ``alert_repeat_hours``.
    """
    settings, jobs = services.settings, services.jobs
    if (
        not services.reports.notifies_people
        or run.dry_run
        or run.status is JobStatus.SKIPPED
        or run.alerted_at is not None
    ):
        return run
    signature = run.failure_signature
    last = jobs.last_alert(run.scope)
    repeat_before = format_time(services.clock() - timedelta(hours=settings.alert_repeat_hours))
    is_news = bool(signature) and (signature != last.signature or last.sent_at < repeat_before)
    try:
        if is_news:
            services.reports.send_alert(run, jobs.failures(run.job_id))
    except Exception as error:  # noqa: BLE001  # the rest of closing comes first; close_job raises then
        _log.exception("alerting failed", extra={"job_id": run.job_id})
        return jobs.mark_run(run, alert_error=f"{type(error).__name__}: {error}"[:1000])
    if is_news or signature != last.signature:
        jobs.save_alert(run.scope, LastAlert(signature, services.now() if is_news else ""))
    return jobs.mark_run(run, alerted_at=services.now())
