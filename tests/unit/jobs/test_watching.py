"""The watch for silence: what it says of each scope, whatever became of the jobs."""

from datetime import timedelta

import pytest

from inventory_updater.jobs.watching import watch
from inventory_updater.tables.records import JobStatus
from tests.builders import change
from tests.fakes.warehouse import Warehouse, mug


def silence_after(warehouse: Warehouse, passes: timedelta) -> dict[str, timedelta]:
    warehouse.clock.goes_on(passes.total_seconds())
    return watch(warehouse.services)


def test_a_scope_that_never_finished_is_silent_since_the_first_watch(warehouse: Warehouse) -> None:
    assert silence_after(warehouse, timedelta(days=3)) == dict.fromkeys(("due", "all"), timedelta(0))

    minutes = timedelta(minutes=5)
    assert silence_after(warehouse, minutes) == {"due": minutes, "all": minutes}


def test_a_job_that_finishes_ends_the_silence_of_its_own_scope(warehouse: Warehouse) -> None:
    watch(warehouse.services)
    silence_after(warehouse, timedelta(days=30))
    warehouse.run_job("nightly", "all")

    hour = timedelta(hours=1)
    assert silence_after(warehouse, hour) == {"due": timedelta(days=30) + hour, "all": hour}


def test_a_job_that_completes_with_failures_has_finished(warehouse: Warehouse) -> None:
    watch(warehouse.services)
    warehouse.put(mug(change("sale", "adjustment", -99)))
    warehouse.clock.goes_on(600)
    assert warehouse.run_job().status is JobStatus.COMPLETED_WITH_FAILURES

    assert silence_after(warehouse, timedelta(minutes=1))["due"] == timedelta(minutes=1)


def test_a_failed_job_does_not_end_the_silence(warehouse: Warehouse) -> None:
    watch(warehouse.services)
    warehouse.clock.goes_on(3600)
    assert warehouse.close("the function failed").status is JobStatus.FAILED

    assert silence_after(warehouse, timedelta(hours=1))["due"] == timedelta(hours=2)


def test_a_job_that_is_closed_again_later_finished_when_it_did(warehouse: Warehouse) -> None:
    first = warehouse.run_job("first")
    warehouse.clock.goes_on(3600)
    warehouse.run_job("second")
    assert first.finished_at is not None
    warehouse.jobs.note_finish("due", first.finished_at)

    assert silence_after(warehouse, timedelta(minutes=1))["due"] == timedelta(minutes=1)


def test_the_silence_is_published_in_the_units_of_the_windows(warehouse: Warehouse) -> None:
    watch(warehouse.services)
    silence_after(warehouse, timedelta(hours=36))

    assert warehouse.metrics.published[-1] == {"SilenceMinutes": 36 * 60, "SilenceHours": 36}


def test_a_silence_that_cannot_be_published_fails_the_watch(warehouse: Warehouse) -> None:
    warehouse.metrics.error = RuntimeError("throttled")

    with pytest.raises(RuntimeError, match="throttled"):
        watch(warehouse.services)
