"""What the log says of a run."""

import logging
from dataclasses import replace

import pytest

from inventory_updater.reports.log import log_run
from inventory_updater.tables.records import JobStatus, Run, Tally
from tests.builders import NOW


def test_a_run_is_one_log_line_as_grave_as_its_end(caplog: pytest.LogCaptureFixture) -> None:
    levels = {
        JobStatus.SUCCEEDED: logging.INFO,
        JobStatus.SKIPPED: logging.INFO,
        JobStatus.COMPLETED_WITH_FAILURES: logging.WARNING,
        JobStatus.FAILED: logging.ERROR,
        JobStatus.ABANDONED: logging.ERROR,
    }
    caplog.set_level(logging.DEBUG)

    run = Run("job-1", JobStatus.RUNNING, "due", "manual", NOW, NOW, 4, tally=Tally(changes_rejected=6))
    for status in levels:
        log_run(replace(run, status=status))

    assert levels == {JobStatus(vars(record)["status"]): record.levelno for record in caplog.records}
    assert all(vars(record).items() >= {"job_id": "job-1", "changes_rejected": 6}.items() for record in caplog.records)
