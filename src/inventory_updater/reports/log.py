"""A finished run as a log line."""

import logging

from inventory_updater.tables.records import JobStatus, Run

_log = logging.getLogger(__name__)


def log_run(run: Run) -> None:
    """One log line for a run that ended, with everything a query would filter on."""
    level = logging.INFO if run.status in (JobStatus.SUCCEEDED, JobStatus.SKIPPED) else logging.WARNING
    _log.log(
        logging.ERROR if run.status in (JobStatus.FAILED, JobStatus.ABANDONED) else level,
        "job %s",
        run.status.value,
        extra={
            "job_id": run.job_id,
            "status": run.status.value,
            "scope": run.scope,
            "items_scanned": run.tally.items_scanned,
            "items_updated": run.tally.items_updated,
            "items_negative": run.tally.items_negative,
            "items_failed": run.tally.items_failed,
            "changes_applied": run.tally.changes_applied,
            "changes_opened": run.tally.changes_opened,
            "changes_rejected": run.tally.changes_rejected,
            "changes_superseded": run.tally.changes_superseded,
            "tally_is_exact": run.tally_is_exact,
            "duration_seconds": run.duration_seconds,
            "error": run.error,
        },
    )
