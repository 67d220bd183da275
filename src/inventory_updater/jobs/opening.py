"""Opening a job: take the lease, settle the jobs that lost it, write the RUN record."""

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Literal, TypedDict

from inventory_updater.jobs.closing import abandon_job, alert, publish_metrics_once
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.stock.times import read_time
from inventory_updater.tables.records import JobStatus

_log = logging.getLogger(__name__)


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
                request.new_run(settings.segments), status=JobStatus.SKIPPED, error=error, finished_at=services.now()
            )
            services.reports.log(jobs.start_run(skipped))
            return {"outcome": "SKIPPED"}
        for job_id in sorted(lease.displaced - {request.job_id}):
            _settle_displaced(services, job_id, f"found without a live lease by {request.job_id}")
    run = jobs.start_run(request.new_run(settings.segments))
    return {"outcome": "OPENED", "segments": list(range(run.segments))}


def _settle_displaced(services: Services, job_id: str, reason: str) -> None:
    """Settle a job that lost its lease without closing and report it; it stays on the lease until people are told."""
    run = abandon_job(services, job_id, reason)
    if run is not None and run.status is JobStatus.ABANDONED:
        run = alert(services, publish_metrics_once(services, run))
        if run.alert_is_owed:
            return
    services.jobs.forget_displaced(job_id)
