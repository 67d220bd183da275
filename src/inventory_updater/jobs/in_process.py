"""The whole job in one process: what the state machine does, without one."""

import logging
from collections.abc import Callable

from inventory_updater.dynamodb.pacing import Limits
from inventory_updater.jobs.closing import close_job
from inventory_updater.jobs.opening import open_job
from inventory_updater.jobs.requests import JobRequest
from inventory_updater.jobs.services import Services
from inventory_updater.jobs.worker import UnknownJobError, update_segment
from inventory_updater.tables.records import Run, error_text

_log = logging.getLogger(__name__)


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
    error = ""
    try:
        opened = open_job(services, request, _countdown(services, call_seconds))
    except Exception as problem:  # noqa: BLE001  # closing says so
        _log.exception("opening failed", extra={"job_id": request.job_id})
        opened, error = {"outcome": "OPENED", "segments": []}, error_text(problem)
    if opened["outcome"] == "OPENED":
        for number in opened["segments"]:
            try:
                while not update_segment(services, request.job_id, number, _countdown(services, call_seconds)):
                    pass
            except Exception:  # noqa: BLE001  # a segment that fails does not stop the others
                # As in the state machine; closing finds this one unfinished.
                _log.exception("segment failed", extra={"job_id": request.job_id, "segment": number})
        close_job(services, request, error)
    run = services.jobs.run(request.job_id)
    if run is None:
        raise UnknownJobError(f"job {request.job_id} is waiting for the lease")
    return run


def _countdown(services: Services, seconds: float | None) -> Callable[[], float]:
    return (lambda: 900.0) if seconds is None else Limits.for_seconds(seconds, services.monotonic).seconds_left
