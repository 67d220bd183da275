"""Opening a job: take the lease, settle the jobs that lost it, write the RUN record; a small job is settled here."""

import logging
from collections import ChainMap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Literal, TypedDict

from inventory_updater.dynamodb.pacing import batched
from inventory_updater.jobs.closing import AlertError, abandon_job, conclude, ended, recording_problems, tell
from inventory_updater.jobs.pages import Pages, due_page
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import recorded
from inventory_updater.stock.times import read_time
from inventory_updater.tables.change_table import SHARDS, DuePage
from inventory_updater.tables.records import FAILURES_A_JOB, JobStatus, Run, Segment, Tally

_log = logging.getLogger(__name__)


class Opened(TypedDict, total=False):
    """What ``open_job`` answers: the segments to update where the outcome is ``OPENED``; ``DONE`` is closed."""

    outcome: Literal["OPENED", "DONE", "WAIT", "SKIPPED"]
    segments: list[int]


def open_job(services: Services, request: JobRequest, seconds_left: Callable[[], float] = lambda: 300.0) -> Opened:
    """Take the lease, write the RUN record and say which segments there are; settle a small job here and now.

    Where another job holds the lease, scope ``due`` ends ``SKIPPED`` and scope ``all`` is told to wait, until it has
    waited ``all_wait_minutes``. A job whose due changes fit into one page is settled and closed here: most jobs of most
    shops are like that.

    Args:
        services: what to work with.
        request: the job.
        seconds_left: the time that remains for this call, in seconds.
    """
    settings, jobs = services.settings, services.jobs
    wanted = request.new_run(settings.segments)
    lease = jobs.take_lease(request.job_id, settings.lease_seconds)
    if lease.holder != request.job_id:
        waited = services.clock() - read_time(request.started_at)
        if request.scope == "all" and waited < timedelta(minutes=settings.all_wait_minutes):
            _log.info("waiting for the lease", extra={"job_id": request.job_id, "holder": lease.holder})
            return {"outcome": "WAIT"}
        error = f"job {lease.holder} holds the lease until {lease.held_until}"
        skipped = replace(wanted, status=JobStatus.SKIPPED, error=error, finished_at=services.now())
        services.reports.log(jobs.start_run(skipped))
        return {"outcome": "SKIPPED"}
    for job_id in sorted(lease.displaced - {request.job_id}):
        _settle_displaced(services, job_id, f"found without a live lease by {request.job_id}")
    small = _small_page(services, request) if request.scope == "due" else None
    # What is settled here has no record of progress: until the end nobody knows how much it was.
    wanted = replace(wanted, tally_is_exact=small is None or not len(small))
    run = jobs.start_run(wanted)
    if run.is_settled or run.stop_reason is not None:
        # Stopped, abandoned, or settled by a call that died before it told anybody: nothing is left to update, and
        # closing says how it ended. It frees the lease; if it never comes, the next job tells people instead.
        return {"outcome": "OPENED", "segments": []}
    settled = None if small is None else _settled_here(services, run, small, seconds_left, is_first=run is wanted)
    if settled is None:
        return {"outcome": "OPENED", "segments": list(range(run.segments))}
    try:
        if conclude(services, settled).has_finished:
            return {"outcome": "DONE"}
    except AlertError as error:
        _log.warning("closing has to try again: %s", error, extra={"job_id": run.job_id})
    return {"outcome": "OPENED", "segments": []}


def _small_page(services: Services, request: JobRequest) -> DuePage | None:
    """All that is due, where it fits into one page; what the workers will read anyhow is left to them."""
    most, at_once = services.settings.items_per_page, services.settings.write_concurrency
    pages: list[DuePage] = []
    with ThreadPoolExecutor(at_once) as pool:
        for shards in batched(range(len(SHARDS)), at_once):
            pages += pool.map(lambda shard: due_page(services, request.as_of, shard), shards)
            if sum(map(len, pages)) > most or any(page.cursor for page in pages):
                return None
    return DuePage(
        changes=dict(ChainMap(*(page.changes for page in pages))),  # type: ignore[arg-type]
        earliest=dict(ChainMap(*(page.earliest for page in pages))),  # type: ignore[arg-type]
        misnamed=[each for page in pages for each in page.misnamed],
        cursor=None,
        read_units=sum(page.read_units for page in pages),
    )


def _settled_here(
    services: Services, run: Run, page: DuePage, seconds_left: Callable[[], float], *, is_first: bool
) -> Run | None:
    """Settle all that is due; the run as it ends then, None where the workers have to go on."""
    result = Pages(services, run, seconds_left, lease_is_fresh=True).settle(page)
    if result.ending is not None:
        _log.warning("opening leaves the rest to the workers: %s", result.ending, extra={"job_id": run.job_id})
        return None
    here = Segment(run.job_id, number=0)
    tally, is_exact, error = recorded(services, here, [result], failures_left=FAILURES_A_JOB)
    settled = replace(run, tally=tally + Tally(calls=1), tally_is_exact=is_exact and is_first)
    return ended(services, settled, recording_problems([replace(here, recording_error=error)]))


def _settle_displaced(services: Services, job_id: str, reason: str) -> None:
    """Settle a job that lost its lease without closing, and tell of it; it stays on the lease until people are told.

    One that has ended is there because its result was not published: it was stopped, or that failed. It is tried once
    more, so that what is on the lease stays short however long nothing can be published.
    """
    try:
        run = abandon_job(services, job_id, reason)
    except (KeyError, ValueError):
        # Somebody has written over its record: nothing is known of it, and it must not stop every job after it.
        _log.exception("the record of a displaced job cannot be read", extra={"job_id": job_id})
        run = None
    if run is not None and tell(services, run).alert_is_owed and run.status is JobStatus.ABANDONED:
        return
    services.jobs.forget_displaced(job_id)
