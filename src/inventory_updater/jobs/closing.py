"""Closing a job: settle its run, publish its metrics and its result, alert people, free the lease.

Each step may be repeated: what is settled stays settled, and every step of closing is marked when it is done.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.stock.times import format_time, read_time
from inventory_updater.tables.change_table import SHARDS
from inventory_updater.tables.records import JobStatus, LastAlert, Run, Segment, Tally, error_text

_LOOKED_UP: Final = 25

_log = logging.getLogger(__name__)


class AlertError(Exception):
    """People could not be told; the RUN record says why."""


def close_job(
    services: Services,
    request: JobRequest,
    error: str = "",
    seconds_left: Callable[[], float] = lambda: 60.0,
) -> JobStatus:
    """Settle the run, publish its metrics and its result, alert people, free the lease.

    Each step is marked, so that a repeated close skips what is done.

    Args:
        services: what to work with.
        request: the job, as it was opened.
        error: what made the job end early; empty where nothing did.
        seconds_left: the time that remains for this call, in seconds.

    Raises:
        AlertError: where people could not be told, once everything else is done.
    """
    run = services.jobs.run(request.job_id)
    if run is None:
        run = services.jobs.start_run(request.new_run(services.settings.segments))
    return conclude(services, run if run.is_settled else _settled(services, run, error, seconds_left)).status


def conclude(services: Services, settled: Run) -> Run:
    """Write how a job has ended, tell metrics, systems and people about it, and free the lease.

    A result that could not be published is left to the next job, which tries it once more.

    Raises:
        AlertError: where people could not be told, once everything else is done.
    """
    run = tell(services, _settle(services, settled))
    services.jobs.free_lease(run.job_id, is_owed=run.result_is_owed)
    if run.alert_is_owed:
        raise AlertError(run.alert_error)
    return run


def abandon_job(services: Services, job_id: str, reason: str) -> Run | None:
    """Settle a job that will not close itself as ``ABANDONED``; one that has ended already stays as it is.

    Returns:
        The run as it stands then; ``None`` where there is none.
    """
    run = services.jobs.run(job_id)
    if run is None or run.is_settled:
        return run
    segments = services.jobs.segments(run.job_id, run.segments)
    abandoned = _at_its_end(_added_up(run, segments), services, [reason, *recording_problems(segments)])
    return _settle(services, replace(abandoned, status=JobStatus.ABANDONED))


def _settle(services: Services, settled: Run) -> Run:
    """Write how a job has ended; what another call has settled that opened it again is in no tally."""
    run = services.jobs.settle_run(settled)
    if not run.is_settled:
        settled = replace(settled, tally_is_exact=False)
        run = services.jobs.settle_run(settled)
    if run is settled:
        services.reports.log(run)
    return run


def _added_up(run: Run, segments: Sequence[Segment]) -> Run:
    """The run with its segments' tallies."""
    are_exact = all(segment.tally_is_exact and not segment.call_is_open for segment in segments)
    return replace(
        run,
        tally=sum((segment.tally for segment in segments), Tally()),
        tally_is_exact=run.tally_is_exact and are_exact,
    )


def _at_its_end(run: Run, services: Services, problems: Sequence[str]) -> Run:
    finished = services.clock()
    return replace(
        run,
        failure_rate=run.tally.failure_rate,
        finished_at=format_time(finished),
        duration_seconds=max(0.0, (finished - read_time(run.started_at)).total_seconds()),
        error="; ".join(problems)[:4000] or None,
    )


def ended(services: Services, run: Run, problems: Sequence[str]) -> Run:
    """The run with its final status, where all of it was worked on."""
    has_failures = run.tally.items_failed or run.tally.changes_rejected
    status = JobStatus.COMPLETED_WITH_FAILURES if has_failures else JobStatus.SUCCEEDED
    return replace(_at_its_end(run, services, problems), status=status)


def recording_problems(segments: Iterable[Segment]) -> list[str]:
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
    was_cut_short = any(segment.was_cut_short for segment in segments)
    run = _added_up(run, segments)
    problems = [error] if error else []
    problems += [f"segment {segment.number}: {segment.error or 'never finished'}" for segment in failed]
    problems += recording_problems(segments)
    if was_cut_short:
        problems.append(f"stopped after {run.tally.calls:,} calls; the next job takes up what is left")
    if failed or was_cut_short:
        run = replace(run, tally=run.tally + Tally(oldest_overdue=_oldest_overdue(services, run.as_of, seconds_left)))
    run = ended(services, run, problems)
    if len(failed) == run.segments:
        return replace(run, status=JobStatus.FAILED, failure_rate=100.0)
    return replace(run, status=JobStatus.COMPLETED_WITH_FAILURES) if failed else run


def _oldest_overdue(services: Services, as_of: str, seconds_left: Callable[[], float]) -> str | None:
    """Since when something has been due that is not settled, as far as that can be read in half of the time left.

    The index may be behind: each shard's first ones are looked up in the table.
    """
    enough = seconds_left() / 2
    overdue: list[str] = []
    try:
        for shard in SHARDS:
            if seconds_left() <= enough:
                break
            page = services.changes.due_page(shard, as_of, limit=_LOOKED_UP)
            named = [(key, change_id) for key, ids in page.changes.items() for change_id in ids]
            records = services.changes.read(named) if named else {}
            waiting = [each for of_item in records.values() for each in of_item if not each.status.is_final]
            overdue += [each.due_at for each in waiting if each.due_at]
    except Exception:  # noqa: BLE001  # what made the segments fail may fail here too, and the job must close
        _log.exception("looking for overdue changes failed")
    return min(overdue, default=None)


def tell(services: Services, run: Run) -> Run:
    """Note that a settled run has finished, publish its metrics and its result, and tell people, each unless that was
    done before.

    People are told of a run that did not end clean, unless the last job of its scope failed with just the same; what is
    not news is sent again only after ``alert_repeat_hours``. Of one that somebody stopped neither they nor metrics are.

    Returns:
        The run as it is marked then.
    """
    if run.has_finished:
        services.jobs.note_finish(run.scope, run.finished_at or services.now())
    marks = _metrics_marks(services, run) | _result_marks(services, run)
    is_for_people = run.status is not JobStatus.SKIPPED and not run.was_stopped and run.alerted_at is None
    if not services.reports.notifies_people or not is_for_people:
        return services.jobs.mark_run(run, **marks) if marks else run
    settings, jobs = services.settings, services.jobs
    signature = run.failure_signature
    last = jobs.last_alert(run.scope)
    repeat_before = format_time(services.clock() - timedelta(hours=settings.alert_repeat_hours))
    is_news = bool(signature) and (signature != last.signature or last.sent_at < repeat_before)
    try:
        if is_news:
            # A call that dies while it tells people publishes nothing twice.
            run = jobs.mark_run(run, **marks) if marks else run
            marks = {}
            services.reports.send_alert(run, jobs.failures(run.job_id))
    except Exception as error:  # noqa: BLE001  # the rest of closing comes first; close_job raises then
        _log.exception("alerting failed", extra={"job_id": run.job_id})
        return jobs.mark_run(run, alert_error=error_text(error))
    if is_news or signature != last.signature:
        jobs.save_alert(run.scope, LastAlert(signature, services.now() if is_news else ""))
    return jobs.mark_run(run, **marks, alerted_at=services.now())


def _metrics_marks(services: Services, run: Run) -> dict[str, str]:
    """Publish the metrics of a run that has any, unless that was done before; what to mark on it then."""
    if not run.has_metrics or run.was_stopped or run.metrics_published_at is not None:
        return {}
    return _marks("metrics", services, run, lambda: services.reports.publish_metrics(run, services.clock()))


def _result_marks(services: Services, run: Run) -> dict[str, str]:
    """Publish the result of a run that has one, unless that was done before; what to mark on it then."""
    if not services.reports.publishes_results or not run.has_result or run.result_published_at is not None:
        return {}
    return _marks("result", services, run, lambda: services.reports.publish_result(run, services.jobs.name))


def _marks(what: str, services: Services, run: Run, publish: Callable[[], None]) -> dict[str, str]:
    try:
        publish()
    except Exception as error:  # noqa: BLE001  # it may be lost, but not silently, and the job must close
        _log.exception("publishing %s failed", what, extra={"job_id": run.job_id})
        return {f"{what}_error": error_text(error)}
    return {f"{what}_published_at": services.now()}
